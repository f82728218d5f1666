"""Which family a model is of, and what follows from that for its entry."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog import Catalog, IntRange, read_catalog
from catalog.families import FAMILIES
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL
from catalog.headers import HeaderCache
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.catalog.home import SDXL as SDXL_SHAPES

UNET = "model.diffusion_model."
SD15_SHAPES = {
    f"{UNET}input_blocks.0.0.weight": [1, 4, 3, 3],
    f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight": [1, 768],
    "cond_stage_model.transformer.text_model.final_layer_norm.bias": [1],
    "first_stage_model.decoder.conv_in.weight": [1, 4, 3, 3],
}
TINY_SHAPES = {
    **SD15_SHAPES,
    f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight": [1, 32],
}
READER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


def model(key: str, path: str, more: str = "") -> str:
    return f'[models.{key}]\nname = "{key}"\npath = "{path}"\n{more}'


def lora(width: int) -> bytes:
    return checkpoint_bytes(
        {f"{READER}.lora_down.weight": [4, width], f"{READER}.lora_up.weight": [8, 4]}
    )


def folder(home: Home, path: str, unet: dict[str, Any], pipeline: str) -> Path:
    place = home.models_dir / path
    home.put(place / "model_index.json", json.dumps({"_class_name": pipeline}).encode())
    home.put(place / "unet" / "config.json", json.dumps(unet).encode())
    home.put(place / "scheduler" / "scheduler_config.json", b'{"_class_name": "PNDMScheduler"}')
    return place


def both(home: Home) -> Catalog:
    """One model of each family, by file."""
    home.put(home.models_dir / "checkpoints/old.safetensors", checkpoint_bytes(SD15_SHAPES))
    home.put(home.models_dir / "checkpoints/new.safetensors", checkpoint_bytes(SDXL_SHAPES))
    return home.read()


@pytest.mark.parametrize("shapes", [SD15_SHAPES, TINY_SHAPES])
def test_a_file_without_an_entry_has_the_defaults_of_its_family(
    home: Home, shapes: dict[str, list[int]]
) -> None:
    home.put(home.models_dir / "checkpoints/old.safetensors", checkpoint_bytes(shapes))
    read = home.read()
    entry = read.models["old"]
    assert (entry.family, entry.size, entry.steps.default) == (SD15, (512, 512), 25)
    assert (entry.completed_by, read.unfit_models) == (SD15.config, {})


def test_the_entry_of_a_file_has_the_bounds_of_its_family(home: Home) -> None:
    home.put(home.models_dir / "far/old.safetensors", checkpoint_bytes(SD15_SHAPES))
    home.write(
        ONE_MODEL
        + model("old", "far/old.safetensors", "clip_skip = 1\nmin_side = 320\n")
        + model("bad", "far/old.safetensors", "clip_skip = 13\n")
    )
    read = home.read()
    old = read.models["old"]
    assert (old.family, old.clip_skip, old.min_side, old.max_side) == (SD15, 1, 320, 1024)
    assert read.models["base"].family is SDXL
    assert [problem.key for problem in read.problems] == ["bad"]


@pytest.mark.parametrize(
    ("unet", "pipeline"),
    [
        ({"cross_attention_dim": 768}, "StableDiffusionPipeline"),
        ({"cross_attention_dim": 32}, "StableDiffusionPipeline"),
        ({"cross_attention_dim": 768}, "DiffusionPipeline"),
    ],
)
def test_a_folder_is_known_by_its_configurations(
    home: Home, unet: dict[str, Any], pipeline: str
) -> None:
    folder(home, "far", unet, pipeline)
    home.write(ONE_MODEL + model("old", "far"))
    read = home.read()
    assert (read.models["old"].family, read.unfit_models) == (SD15, {})


def test_a_repository_that_is_not_here_is_known_by_name_or_by_its_entry(home: Home) -> None:
    home.write(
        ONE_MODEL
        + model("known", "Lykon/dreamshaper-8")
        + model("stated", "some/thing", 'family = "sd15"\n')
    )
    read = home.read()
    families = {key: entry.family.key for key, entry in read.models.items()}
    assert families == {"base": "sdxl", "known": "sd15", "stated": "sd15"}
    assert read.models["stated"].steps == IntRange(min=10, default=25, max=100)


def test_the_files_of_a_repository_outweigh_its_name(home: Home) -> None:
    snapshot = "hub/models--Lykon--dreamshaper-8/snapshots/abc"
    folder(
        home,
        snapshot,
        {"cross_attention_dim": 2048, "addition_embed_type": "text_time"},
        "StableDiffusionXLPipeline",
    )
    home.write(ONE_MODEL + model("odd", "Lykon/dreamshaper-8"))
    assert home.read().models["odd"].family is SDXL


@pytest.mark.parametrize("path", ["far/old.safetensors", "Lykon/dreamshaper-8"])
def test_an_entry_that_contradicts_its_files_is_left_out_in_words(home: Home, path: str) -> None:
    home.put(home.models_dir / "far/old.safetensors", checkpoint_bytes(SD15_SHAPES))
    home.write(ONE_MODEL + model("old", path, 'family = "sdxl"\n'))
    read = home.read()
    assert list(read.models) == ["base"]
    [problem] = read.problems
    assert problem.key == "old"
    assert problem.reason == ('family is "sdxl", but it is a Stable Diffusion 1.5 model ("sd15")')


@pytest.mark.parametrize("family", ["zimag", "", ["sd15"]])
def test_a_family_that_there_is_not_is_named_also_where_the_files_tell(
    home: Home, family: str | list[str]
) -> None:
    home.put(home.models_dir / "far/old.safetensors", checkpoint_bytes(SD15_SHAPES))
    home.write(ONE_MODEL + model("old", "far/old.safetensors", f"family = {json.dumps(family)}\n"))
    read = home.read()
    assert list(read.models) == ["base"]
    [problem] = read.problems
    assert problem.reason == f"family must be one of {', '.join(FAMILIES)}, got {family!r}"


def test_the_prediction_of_its_files_keeps_the_family(home: Home) -> None:
    metadata = {"modelspec.prediction_type": "flow"}
    raw = checkpoint_bytes(SD15_SHAPES, metadata)
    home.put(home.models_dir / "far/old.safetensors", raw)
    home.write(ONE_MODEL + model("old", "far/old.safetensors"))
    old = home.read().models["old"]
    assert (old.family, old.prediction, old.scheduler) == (SD15, "flow", "Euler")


@pytest.mark.parametrize("family", ["flux2", "zimage", "anima", "krea2"])
def test_a_model_that_is_always_a_flow_may_say_so(home: Home, family: str) -> None:
    variant = FAMILIES[family].variants[0].name
    extra = f'family = "{family}"\nvariant = "{variant}"\nprediction = '
    entries = (model(said, "some/thing", f'{extra}"{said}"\n') for said in ("flow", "epsilon"))
    home.write(ONE_MODEL + "".join(entries))
    read = home.read()
    assert read.models.keys() == {"base", "flow"}
    assert read.models["flow"].schedulers == FAMILIES[family].schedulers
    [problem] = read.problems
    assert problem.reason.startswith("prediction must be flow for a model of ")


def test_loras_fit_the_models_of_their_family(home: Home) -> None:
    for name, width in (("small", 768), ("large", 2048)):
        home.put(home.models_dir / f"loras/{name}.safetensors", lora(width))
    read = both(home)
    for key, fitting in (("old", ["small"]), ("new", ["large"])):
        offered = read.offered_adapters(nsfw=False, model=key)
        assert [entry.key for entry in offered] == fitting
    assert read.misfit("small") is read.misfit("large") is None
    why = read.misfit("small", "new")
    assert why is not None
    assert (why.kind, why.found) == ("base", "SD 1.5")


def test_a_lora_for_a_family_without_a_model_fits_nothing_here(home: Home) -> None:
    home.put(home.models_dir / "loras/small.safetensors", lora(768))
    home.write(ONE_MODEL)
    assert str(home.read().misfit("small")) == "made for SD 1.5, which fits no model here"


def test_embeddings_fit_the_models_of_their_family(home: Home) -> None:
    (home.models_dir / "embeddings").mkdir()
    for name, shapes in (
        ("one", {"emb_params": [2, 768]}),
        ("two", {"clip_l": [2, 768], "clip_g": [2, 1280]}),
        ("odd", {"emb_params": [2, 48]}),
    ):
        raw = checkpoint_bytes(shapes)
        home.put(home.models_dir / f"embeddings/{name}.safetensors", raw)
    read = both(home)
    words = read.embeddings
    assert words.misfit("one", read.models["old"]) is None
    assert words.misfit("two", read.models["new"]) is None
    assert words.misfit("odd", read.models["old"]) is None
    assert str(words.misfit("one", read.models["new"])).startswith("made for SD 1.5")
    assert str(words.misfit("two", read.models["old"])).startswith("made for SDXL")
    assert str(words.misfit("odd", read.models["new"])) == (
        "it is an embedding for one text encoder, where Stable Diffusion XL has two text encoders"
    )


REFERENCES = """
[reference]
path = "org/ip"
weight_name = "xl.safetensors"
encoder = "encoder"

[reference.sd15]
path = "org/ip"
weight_name = "old.safetensors"
encoder = "encoder"
"""


def test_each_family_has_its_own_reference_adapter(home: Home) -> None:
    home.write(ONE_MODEL + REFERENCES)
    read = both(home)
    assert read.problems == ()
    for key, file in (("old", "old.safetensors"), ("new", "xl.safetensors")):
        reference = read.reference_for(key)
        assert reference is not None
        assert reference.weight_name == file


def test_a_wrong_reference_adapter_leaves_the_other(home: Home) -> None:
    home.write(ONE_MODEL + REFERENCES.replace("xl.safetensors", "xl.bin"))
    read = home.read()
    assert [problem.key for problem in read.problems] == ["reference"]
    assert read.references.keys() == {"sd15"}


def test_two_reference_adapters_for_one_family_are_a_problem(home: Home) -> None:
    home.write(ONE_MODEL + REFERENCES.replace("reference.sd15", "reference.sdxl"))
    [problem] = home.read().problems
    assert (problem.key, problem.reason) == (
        "reference",
        "it has both fields of its own and a table reference.sdxl",
    )


def test_an_entry_whose_file_is_read_later_is_not_judged_by_another_family(home: Home) -> None:
    for name in ("a", "b"):
        home.put(home.models_dir / f"far/{name}.safetensors", checkpoint_bytes(SD15_SHAPES))
    entries = (model(name, f"far/{name}.safetensors", "clip_skip = 1\n") for name in ("b", "a"))
    home.write('default = "a"\n' + "".join(entries))
    headers = HeaderCache()
    headers.hurry(0, 0)
    read = read_catalog(home.catalog_dir, home.models_dir, headers=headers)
    assert (list(read.models), read.problems) == (["a"], ())
    assert [unread.names for unread in read.unread] == [("b",)]
    headers.hurry(None)
    read = read_catalog(home.catalog_dir, home.models_dir, headers=headers)
    assert (list(read.models), read.problems, read.unread) == (["b", "a"], (), ())
