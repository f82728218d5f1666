"""Which FLUX.1 a model is: what it is told, its files say; what it was trained for, its names."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from catalog import LiveCatalog, ModelEntry
from catalog.families.flux1 import FLUX1
from catalog.families.flux1.recognition import RECOGNITION
from catalog.families.stated import Stated
from catalog.weight_files import Refusal
from catalog.weight_files.checkpoint import checkpoint_facts
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.catalog.weight_files.headers import shapes_of
from tests.catalog.weight_files.test_checkpoint import FILE, header

NARROW: Final[dict[str, list[int]]] = {
    "double_blocks.0.img_attn.qkv.weight": [1, 1],
    "img_in.weight": [1, 64],
    "txt_in.weight": [1, 1],
    "vector_in.in_layer.weight": [1, 1],
    "final_layer.linear.weight": [1, 1],
}
TOLD: Final = {"guidance_in.in_layer.weight": [1, 1]}
SCHNELL, DEV, KREA, KONTEXT = "schnell", "dev", "krea", "kontext"


def model_in(home: Home, name: str, shapes: dict[str, list[int]], **metadata: str) -> ModelEntry:
    raw = checkpoint_bytes(shapes, metadata)
    home.put(home.models_dir / f"checkpoints/{name}.safetensors", raw)
    read = home.read()
    assert not read.unfit_models
    (model,) = (each for each in read.models.values() if each.key != "base")
    assert model.family is FLUX1
    return model


def variant_of(model: ModelEntry) -> str | None:
    told = model.told_variant
    return told.name if told else None


@pytest.mark.parametrize(
    ("name", "shapes", "variant"),
    [
        ("mine", NARROW | TOLD, DEV),
        ("mine", NARROW, SCHNELL),
        # What it is told, no name denies.
        ("flux1-schnell", NARROW | TOLD, DEV),
        ("schnell_dev_mix", NARROW, SCHNELL),
        ("flux1-kontext-dev", NARROW | TOLD, KONTEXT),
        ("flux1-krea-dev", NARROW | TOLD, KREA),
        ("krea-kontext-blend", NARROW | TOLD, DEV),
    ],
)
def test_a_file_tells(home: Home, name: str, shapes: dict[str, list[int]], variant: str) -> None:
    model = model_in(home, name, shapes)
    assert variant_of(model) == variant
    told = FLUX1.named(variant)
    assert told is not None
    assert (model.steps, model.guidance) == (told.steps, told.guidance)
    assert model.completed_by == told.config
    assert model.lent_by == "black-forest-labs/FLUX.1-schnell"
    assert not model.takes_negative
    assert model.takes_guidance == told.embedded
    assert model.pictures_max == (1 if variant == KONTEXT else 0)
    # A step evaluates it once, whatever the guidance.
    assert model.is_guided(3.5) == (variant == SCHNELL)
    assert (model.fast is not None) == (variant == SCHNELL)


def test_metadata_tell_what_tensors_do_not(home: Home) -> None:
    model = model_in(home, "mine", NARROW | TOLD, **{"modelspec.title": "Flux.1 Krea"})
    assert variant_of(model) == KREA


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        *((name, {}) for name in ("flux-dev-de-distill", "flux1-krea-dev_v2", "flux1-dev-kontext")),
        *((name, {}) for name in ("fluxUndistilled", "flux-schnell-dedistilled", "de-schnell")),
        ("mine", {"modelspec.title": "FLUX.1 dev, de-distilled"}),
        ("mine", {"ss_sd_model_name": "flux1-dev.safetensors"}),
        ("schnell", {"is_distilled": "false"}),
    ],
)
def test_one_that_is_told_no_guidance_and_said_to_be_another_is_asked_about(
    home: Home, name: str, metadata: dict[str, str]
) -> None:
    path = f"checkpoints/{name}.safetensors"
    home.put(home.models_dir / path, checkpoint_bytes(NARROW, metadata))
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "{path}"\n')
    why = home.read().unfit_models["far"]
    assert (why.undecided, why.variants) == (FLUX1, (SCHNELL,))
    assert str(why) == (
        f"{name}.safetensors is a FLUX.1 model, by its tensors schnell, but by what is said of it"
        ' another, or not distilled; write variant = "schnell" in its entry [models.far] in'
        " models.toml, and with it the steps and the guidance that its authors recommend"
    )
    home.write(ONE_MODEL)
    assert [key for key in home.read().unfit_models if key != "far"]
    entry = f'[models.far]\nname = "Far"\npath = "{path}"\nvariant = "schnell"\n'
    entry += "steps = {min = 1, default = 28, max = 60}\n"
    entry += "guidance = {min = 1, default = 3.5, max = 9}\n"
    home.write(ONE_MODEL + entry)
    read = home.read()
    assert not read.unfit_models
    assert not read.problems
    assert (read.models["far"].steps.default, read.models["far"].is_guided(3.5)) == (28, True)


def test_the_published_ones_are_told() -> None:
    guided = RECOGNITION.guided
    for name, told in (("dev", True), ("schnell", False)):
        for form in ("", "-original"):
            shapes = shapes_of(f"flux1-{name}{form}")
            assert guided(shapes) is told
            variant = FLUX1.told(["mine"], stated=Stated(guided=told)) or FLUX1.plain
            assert variant is not None
            assert variant.name == name


def folder(home: Home, pipeline: str, **config: Any) -> Path:
    place = home.models_dir / "far"
    home.put(place / "model_index.json", json.dumps({"_class_name": pipeline}).encode())
    home.put(place / "transformer" / "config.json", json.dumps(config).encode())
    return place


@pytest.mark.parametrize(
    ("pipeline", "config", "variant"),
    [
        ("FluxPipeline", {"guidance_embeds": True}, DEV),
        ("FluxPipeline", {"guidance_embeds": False}, SCHNELL),
        ("FluxKontextPipeline", {"guidance_embeds": True}, KONTEXT),
        ("FluxPipeline", {}, DEV),
        ("FluxPipeline", {"guidance_embeds": "perhaps"}, DEV),
    ],
)
def test_a_folder_tells(home: Home, pipeline: str, config: dict[str, Any], variant: str) -> None:
    folder(home, pipeline, **config)
    home.write(f'{ONE_MODEL}[models.far]\nname = "Far"\npath = "far"\n')
    model = home.read().models["far"]
    assert model.family is FLUX1
    assert variant_of(model) == variant


def test_what_files_said_is_kept_for_the_next_start(home: Home) -> None:
    model_in(home, "mine", NARROW)
    for _ in range(2):
        live = LiveCatalog(home.catalog_dir, home.models_dir)
        assert variant_of(live.current.models["mine"]) == SCHNELL


@pytest.mark.parametrize(
    ("width", "task", "advice"),
    [
        (384, "Fill", "also repaints a part of an image, and extends one"),
        (128, "Control", "a ControlNet of another family to follow an image"),
    ],
)
def test_one_for_another_task_is_refused_with_what_to_use(
    home: Home, width: int, task: str, advice: str
) -> None:
    raw = checkpoint_bytes({**NARROW, **TOLD, "img_in.weight": [1, width]})
    home.put(home.models_dir / "checkpoints/tool.safetensors", raw)
    why = str(home.read().unfit_models["tool"])
    assert why.startswith(f"tool.safetensors is a FLUX.1 ({task}) transformer; a model of FLUX.1 ")
    assert why.endswith(advice)


@pytest.mark.parametrize("form", ["", "-original"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_one_with_fewer_blocks_needs_its_own_configuration(
    home: Home, form: str, prefix: str
) -> None:
    double = ("double_blocks.", "transformer_blocks.")
    whole = {prefix + name: shape for name, shape in shapes_of(f"flux1-dev{form}").items()}
    smaller = {
        name: shape
        for name, shape in whole.items()
        if not name.removeprefix(prefix).startswith(double)
        or int(name.removeprefix(prefix).split(".")[1]) < 8
    }
    assert not checkpoint_facts(FILE, header(whole)).unfit(of=["FLUX.1"], config=False)
    facts = checkpoint_facts(FILE, header(smaller))
    assert facts.unfit(of=["FLUX.1"], config=False) == Refusal(
        "FLUX.1 transformer with 8 + 38 blocks instead of 19 + 38",
        "give it an entry in models.toml whose config is the hub id or folder of its authors' model"
        " in diffusers' layout",
    )
    assert facts.unfit(of=["FLUX.1"], config=True) is None


def test_redux_is_refused_by_name(home: Home) -> None:
    raw = checkpoint_bytes({"redux_up.weight": [12288, 1152], "redux_down.weight": [4096, 12288]})
    home.put(home.models_dir / "checkpoints/redux.safetensors", raw)
    why = str(home.read().unfit_models["redux"])
    assert why.startswith("redux.safetensors is an image embedder (FLUX.1 Redux); only ")
