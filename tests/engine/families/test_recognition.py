"""The engine takes what the catalog takes, and calls everything else by the same name."""

import json
from pathlib import Path

import pytest

from bot.engine.families import FAMILIES
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog import families
from catalog.weight_files import Header, checkpoint_facts
from tests.catalog.weight_files.headers import NAMES, shapes_of
from tests.parameters import mostly_long

SUBJECT = Subject("model", "x", lambda _: None, lambda: None)
FILE = Path("x.safetensors")


def folder(root: Path, pipeline: str, transformer: dict[str, object] | None = None) -> Path:
    """A folder in diffusers' layout of which there is no more than what tells what it is."""
    modular = "modular_" if "Modular" in pipeline else ""
    (root / f"{modular}model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    if transformer is not None:
        (root / "transformer").mkdir()
        (root / "transformer" / "config.json").write_text(json.dumps(transformer))
    return root


def refused(key: str, header: Header) -> str:
    """What the family says that a file with this header is; "" if it takes it."""
    try:
        FAMILIES[key].check_single(FILE, header, SUBJECT)
    except JobFailed as failure:
        return str(failure.params["what"])
    return ""


@pytest.mark.parametrize("key", mostly_long(FAMILIES, usual=["sd15", "flux2"]))
def test_of_published_files_each_family_takes_its_own(key: str) -> None:
    taken, own = {}, {}
    for name in NAMES:
        shapes = shapes_of(name)
        header = Header(shapes, dict.fromkeys(shapes, "BF16"), {}, {}, 0, {})
        said = checkpoint_facts(FILE, header)
        own[name] = "" if said.model in families.FAMILIES[key].architectures else said.what
        taken[name] = refused(key, header)
    assert taken == own
    assert "" in own.values()


@pytest.mark.parametrize(
    ("key", "pipeline", "transformer", "what"),
    [
        ("flux2", "Flux2KleinPipeline", None, None),
        ("flux2", "Flux2KleinPipeline", {"num_layers": 5, "num_single_layers": 20}, None),
        (
            *("flux2", "Flux2KleinPipeline", {"num_layers": 8, "num_single_layers": 24}),
            "FLUX.2 klein 9B model",
        ),
        ("flux2", "Flux2KleinInpaintPipeline", None, "Flux2KleinInpaint model"),
        ("flux2", "Flux2Pipeline", None, "FLUX.2 dev model"),
        ("zimage", "ZImagePipeline", None, None),
        ("zimage", "ZImageOmniPipeline", None, "ZImageOmni model"),
        ("zimage", "ZImageModularPipeline", None, "ZImageModular model"),
        ("anima", "AnimaModularPipeline", None, None),
        ("chroma", "ChromaPipeline", None, None),
        ("chroma", "ChromaRadiancePipeline", None, "ChromaRadiance model"),
        ("anima", "Flux2ModularPipeline", None, "Flux2Modular model"),
        ("sdxl", "ZImagePipeline", None, "Z-Image model"),
        ("krea2", "Krea2Pipeline", None, None),
        ("krea2", "Krea2ModularPipeline", None, "Krea2Modular model"),
        ("krea2", "QwenImagePipeline", None, "Qwen-Image model"),
    ],
)
def test_a_folder_is_what_the_catalog_says_that_it_is(
    key: str,
    pipeline: str,
    transformer: dict[str, object] | None,
    what: str | None,
    tmp_path: Path,
) -> None:
    found = folder(tmp_path, pipeline, transformer)
    if what is None:
        FAMILIES[key].check_folder(found, SUBJECT)
        return
    with pytest.raises(JobFailed) as failure:
        FAMILIES[key].check_folder(found, SUBJECT)
    assert (failure.value.code, failure.value.params["what"]) == ("model.other_family", what)
