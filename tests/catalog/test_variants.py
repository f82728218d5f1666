"""Which variant a model is: its files tell, or its name, or its entry, which overrides both."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from catalog import LiveCatalog, locate_entry
from catalog.families import VAE
from catalog.listing import rows
from tests.catalog.home import ONE_MODEL, Home, checkpoint_bytes
from tests.gguf_files import gguf

ZIMAGE: Final[dict[str, list[int]]] = {
    "cap_pad_token": [1, 1],
    "noise_refiner.0.attention.k_norm.weight": [1],
}
FACTS: Final = {
    "turbo": ((1, 9, 30), False, "Tongyi-MAI/Z-Image-Turbo"),
    "base": ((10, 40, 100), True, "Tongyi-MAI/Z-Image"),
}


def entry(key: str, path: str, more: str = "") -> str:
    return f'[models.{key}]\nname = "{key}"\npath = "{path}"\n{more}'


def zimage(home: Home, path: str, metadata: dict[str, Any] | None = None) -> Path:
    return home.put(home.models_dir / path, checkpoint_bytes(ZIMAGE, metadata))


def folder(home: Home, path: str, shift: float, **index: Any) -> Path:
    place = home.models_dir / path
    said = {"_class_name": "ZImagePipeline", **index}
    home.put(place / "model_index.json", json.dumps(said).encode())
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": shift}
    home.put(place / "scheduler" / "scheduler_config.json", json.dumps(scheduler).encode())
    return place


def variant_of(home: Home, key: str = "zi") -> str | None:
    """That of an offered model, after it was seen that all that follows from it does."""
    read = home.read()
    model = read.models[key]
    if key in read.unfit_models:
        assert read.unfit_models[key].variants == ("turbo", "base")
        return None
    told = model.told_variant
    assert told is not None
    steps, negative, config = FACTS[told.name]
    assert (model.steps.min, model.steps.default, model.steps.max) == steps
    assert (model.takes_negative, model.completed_by) == (negative, config)
    assert (model.fast is not None) == (told.name == "turbo")
    return told.name


@pytest.mark.parametrize(
    ("metadata", "variant"),
    [
        (None, None),
        ({"modelspec.title": "My Z-Image Turbo"}, "turbo"),
        ({"modelspec.architecture": "z-image/base"}, "base"),
        ({"general.name": "Z Image Turbo"}, "turbo"),
        ({"general.base_model.0.repo_url": "https://h.co/Tongyi-MAI/Z-Image-Turbo/"}, "turbo"),
        ({"ss_sd_model_name": "z_image_base.safetensors"}, "base"),
        ({"ss_base_model_version": "zimage_turbo"}, "turbo"),
        ({"is_distilled": "True"}, "turbo"),
        ({"is_distilled": "false"}, "base"),
        ({"is_distilled": "perhaps"}, None),
        ({"modelspec.title": "Turbo", "ss_sd_model_name": "base.safetensors"}, None),
        ({"modelspec.description": "faster than Turbo"}, None),
    ],
)
def test_the_metadata_of_a_file_tell(
    home: Home, metadata: dict[str, Any] | None, variant: str | None
) -> None:
    zimage(home, "far/one.safetensors", metadata)
    zimage(home, "checkpoints/two.safetensors", metadata)
    home.write(ONE_MODEL + entry("zi", "far/one.safetensors"))
    assert variant_of(home) == variant
    assert variant_of(home, "two") == variant


def test_no_name_settles_what_the_metadata_leave_contradictory(home: Home) -> None:
    contradictory = {"modelspec.title": "Turbo", "ss_sd_model_name": "z_base.safetensors"}
    zimage(home, "checkpoints/z_image_turbo.safetensors", contradictory)
    assert variant_of(home, "z_image_turbo") is None


def test_a_file_is_here_only_with_all_that_completes_it(home: Home) -> None:
    zimage(home, "checkpoints/z_image_base.safetensors")
    read = home.read()
    model = read.models["z_image_base"]
    assert locate_entry(model, home.models_dir, read.lacking).kind == "download"
    home.pipeline("hub/models--Tongyi-MAI--Z-Image/snapshots/abc", "zimage", ())
    for networks in ((), (VAE,), (VAE, "text_encoder")):
        assert locate_entry(model, home.models_dir, read.lacking).kind == "download"
        home.pipeline("hub/models--Tongyi-MAI--Z-Image-Turbo/snapshots/abc", "zimage", networks)
    assert locate_entry(model, home.models_dir, read.lacking).kind == "file"


def test_the_metadata_of_a_gguf_tell(home: Home) -> None:
    tensors = {name: ("F16", shape, bytes(2)) for name, shape in ZIMAGE.items()}
    raw = gguf(tensors, {"general.name": "Turbo"})
    home.put(home.models_dir / "far/base.gguf", raw)
    home.write(ONE_MODEL + entry("zi", "far/base.gguf"))
    assert variant_of(home) == "turbo"


def test_metadata_count_for_more_than_the_name_and_the_entry_for_most(home: Home) -> None:
    zimage(home, "far/z_image_base.safetensors", {"modelspec.title": "Z-Image Turbo"})
    text = ONE_MODEL + entry("zi", "far/z_image_base.safetensors")
    home.write(text)
    assert variant_of(home) == "turbo"
    home.write(text + 'variant = "base"\n')
    assert variant_of(home) == "base"


@pytest.mark.parametrize(
    ("name", "variant"),
    [("z_image_turbo", "turbo"), ("z-image-base", "base"), ("z-image-de-turbo_v1", None)],
)
def test_the_name_of_a_file_tells(home: Home, name: str, variant: str | None) -> None:
    zimage(home, f"checkpoints/{name}.safetensors")
    assert variant_of(home, name) == variant


def test_what_a_file_beside_it_names_as_its_base_tells(home: Home) -> None:
    file = zimage(home, "checkpoints/mine.safetensors")
    home.put(file.with_suffix(".civitai.info"), json.dumps({"baseModel": "ZImageTurbo"}).encode())
    assert variant_of(home, "mine") == "turbo"


@pytest.mark.parametrize(
    ("path", "shift", "variant"),
    [("far", 3.0, "turbo"), ("far", 6, "base"), ("far", 4.0, None), ("de-turbo", 3.0, None)],
)
def test_the_scheduler_of_a_folder_tells(
    home: Home, path: str, shift: float, variant: str | None
) -> None:
    folder(home, path, shift)
    home.write(ONE_MODEL + entry("zi", path))
    assert variant_of(home) == variant


def test_a_folder_whose_scheduler_changes_is_another_variant(home: Home) -> None:
    folder(home, "far", 3.0)
    home.write(ONE_MODEL + entry("zi", "far"))
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    assert live.current.models["zi"].variant == "turbo"
    folder(home, "far", 6.0)
    assert live.refresh()
    assert live.current.models["zi"].variant == "base"


@pytest.mark.parametrize(("distilled", "variant"), [(True, "distilled"), (False, "base")])
def test_a_folder_of_klein_says_it(home: Home, distilled: bool, variant: str) -> None:
    said = {"_class_name": "Flux2KleinPipeline", "is_distilled": distilled}
    home.put(home.models_dir / "far/model_index.json", json.dumps(said).encode())
    home.write(ONE_MODEL + entry("k", "far"))
    assert home.read().models["k"].variant == variant


def test_what_its_owner_has_to_write_is_said_wherever_models_are_listed(home: Home) -> None:
    zimage(home, "checkpoints/z_image_bf16.safetensors")
    home.write(ONE_MODEL)
    read = home.read()
    said = (
        "z_image_bf16.safetensors is a Z-Image model, but neither its files nor its name says"
        ' whether it is turbo or base; write variant = "turbo" or variant = "base" in its entry'
        " [models.z_image_bf16] in models.toml"
    )
    assert str(read.unfit_models["z_image_bf16"]) == said
    listed = {row["key"]: row for row in rows("models", read, home.models_dir)}
    assert listed["z_image_bf16"]["problems"] == [said]
    home.write(
        ONE_MODEL
        + entry("z_image_bf16", "checkpoints/z_image_bf16.safetensors", 'variant = "base"\n')
    )
    assert variant_of(home, "z_image_bf16") == "base"
