"""Models of SDXL and SD 1.5 that were distilled for few steps, by what they are called."""

import json
from typing import Any, Final

import pytest

from catalog import IntRange, ModelEntry
from catalog.abilities import abilities
from catalog.families import FAMILIES
from catalog.listing import rows
from tests.catalog.home import ONE_MODEL, SDXL, Home, checkpoint_bytes
from tests.catalog.test_families import SD15_SHAPES

SHAPES: Final = {"sdxl": SDXL, "sd15": SD15_SHAPES}
USUAL: Final = {"sdxl": (10, 30, 7.5), "sd15": (10, 25, 7.0)}
"""Least and usual steps and usual guidance of what is not distilled."""
TRAILING: Final = "Euler trailing"


def dropped(
    home: Home, name: str, metadata: dict[str, Any] | None = None, family: str = "sdxl"
) -> ModelEntry:
    file = home.models_dir / f"checkpoints/{name}.safetensors"
    home.put(file, checkpoint_bytes(SHAPES[family], metadata))
    read = home.read()
    assert (read.unfit_models, read.problems) == ({}, ())
    [entry] = [each for key, each in read.models.items() if key != "base"]
    assert entry.family.key == family
    return entry


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize(
    ("name", "steps", "scheduler"),
    [
        ("sd_xl_turbo_1.0_fp16", 4, TRAILING),
        ("dreamshaperXL_v21TurboDPMSDE", 4, TRAILING),
        ("sdxl_lightning_4step", 4, TRAILING),
        ("dreamshaperXL_lightningDPMSDE", 8, TRAILING),
        ("Hyper-SDXL-1step-Unet", 1, TRAILING),
        ("ponyRealism_v21Hyper", 8, TRAILING),
        ("lustifySDXLNSFW_dmd2V7", 8, "LCM"),
        ("dmd2_sdxl_4step_unet_fp16", 4, "LCM"),
        ("dreamshaper_8LCM", 8, "LCM"),
        ("mine_tcd", 8, "TCD"),
    ],
)
def test_a_file_is_sampled_as_its_name_says(
    home: Home, family: str, name: str, steps: int, scheduler: str
) -> None:
    entry = dropped(home, name, family=family)
    assert entry.sampled_as.name == "distilled"
    assert entry.steps == IntRange(min=1, default=steps, max=30)
    assert (entry.guidance.default, entry.scheduler) == (1.0, scheduler)
    assert entry.fast is not None
    assert (entry.fast.adapter, entry.fast.steps) == (None, steps)
    assert (entry.fast.guidance, entry.fast.scheduler) == (1.0, scheduler)
    assert (entry.lacks, entry.speed) == ((), "fast")
    assert entry.completed_by == FAMILIES[family].config


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize(
    "name", ["realcartoonXL_v7", "hyperRealism_1.2", "mine-step00004000", "de-turbo", "no-lcm"]
)
def test_any_other_is_sampled_as_ever_and_offered(home: Home, family: str, name: str) -> None:
    entry = dropped(home, name, family=family)
    least, steps, guidance = USUAL[family]
    assert entry.sampled_as.name == "base"
    assert (entry.steps.min, entry.steps.default) == (least, steps)
    assert (entry.guidance.default, entry.scheduler) == (guidance, "DPM++ 2M Karras")
    assert entry.fast is None


@pytest.mark.parametrize(
    ("metadata", "variant"),
    [
        ({"modelspec.title": "DreamShaper XL Turbo"}, "distilled"),
        ({"ss_sd_model_name": "sd_xl_turbo_1.0.safetensors"}, "distilled"),
        ({"is_distilled": "true"}, "distilled"),
        ({"modelspec.title": "DreamShaper XL"}, "base"),
        ({"modelspec.title": "DreamShaper XL De-Turbo"}, "base"),
    ],
)
def test_the_metadata_of_a_file_tell(home: Home, metadata: dict[str, str], variant: str) -> None:
    entry = dropped(home, "mine", metadata)
    assert (entry.sampled_as.name, entry.fast is not None) == (variant, variant == "distilled")


@pytest.mark.parametrize("said", ["SDXL Lightning", "SDXL Hyper", "SDXL Turbo", "SD 1.5 LCM"])
def test_what_a_file_beside_it_names_as_its_base_tells(home: Home, said: str) -> None:
    beside = home.models_dir / "checkpoints/mine.civitai.info"
    home.put(beside, json.dumps({"baseModel": said}).encode())
    assert dropped(home, "mine").sampled_as.name == "distilled"


def test_its_entry_counts_for_most_and_its_name_for_what_is_not_written(home: Home) -> None:
    home.put(home.models_dir / "far/mine.safetensors", checkpoint_bytes())
    for more, variant, steps in (
        ('name = "Mine"\n', "base", 30),
        ('name = "My Lightning"\n', "distilled", 8),
        ('name = "My 4-step Lightning"\n', "distilled", 4),
        ('name = "My Lightning"\nvariant = "base"\n', "base", 30),
        ('name = "Mine"\nvariant = "distilled"\n', "distilled", 8),
        ('name = "My Turbo"\nsteps = {min = 2, default = 6, max = 8}\n', "distilled", 6),
    ):
        home.write(f'{ONE_MODEL}[models.mine]\npath = "far/mine.safetensors"\n{more}')
        entry = home.read().models["mine"]
        assert (entry.sampled_as.name, entry.steps.default) == (variant, steps), more


def test_a_repository_that_is_not_here_is_told_by_its_name() -> None:
    entry = ModelEntry(key="a", name="A", path="stabilityai/sdxl-turbo")
    assert (entry.sampled_as.name, entry.steps.default) == ("distilled", 4)


def test_a_scheduler_that_cannot_follow_its_prediction_is_not_its_usual_one() -> None:
    entry = ModelEntry(key="a", name="A Lightning", path="a/b", prediction="flow")
    assert (entry.sampled_as.name, entry.scheduler) == ("distilled", "Euler")


def test_every_list_of_models_names_the_distilled_ones(home: Home) -> None:
    for name in ("sdxl_lightning", "mine"):
        home.put(home.models_dir / f"checkpoints/{name}.safetensors", checkpoint_bytes())
    read = home.read()
    listed = {row["key"]: row["variant"] for row in rows("models", read, home.models_dir)}
    told = {key: abilities(entry, read, nsfw=True) for key, entry in read.models.items()}
    expected = {"base": None, "sdxl_lightning": "distilled", "mine": None}
    assert listed == {key: each and each.variant for key, each in told.items()} == expected
