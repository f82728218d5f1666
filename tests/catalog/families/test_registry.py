"""What the catalog and requests know about each model family."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from pydantic import ValidationError

from catalog import SCHEDULERS, FloatRange, IntRange, ModelEntry
from catalog.families import DEFAULT, FAMILIES, Family, Variant, of_architecture, of_repository
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL
from catalog.locate import is_hub_id
from catalog.weight_files.layouts import USABLE
from tests.catalog.home import Home, checkpoint_bytes
from tests.catalog.weight_files.headers import NAMES

ROOT: Final = Path(__file__).parents[3]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_a_family_says_holds_together(family: Family) -> None:
    assert FAMILIES[family.key] is family
    assert is_hub_id(family.config)
    assert set(family.schedulers) <= set(SCHEDULERS)
    for variant in family.variants:
        assert variant.draft is None or set(variant.draft.schedulers) <= set(family.schedulers)
        assert variant.config is None or variant.config.casefold() in family.repositories
    assert family.bucket_step % family.pixel_step == 0
    for side in (*family.size, family.min_side, family.max_side):
        assert side % family.pixel_step == 0
    assert family.min_side <= min(family.size) <= max(family.size) <= family.max_side
    assert family.size[0] * family.size[1] <= family.max_pixels <= family.hires_max_pixels


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_an_entry_has_the_defaults_of_its_family(family: Family) -> None:
    entry = ModelEntry(key="a", name="A", path="a/b", family=family)
    assert (entry.size, entry.min_side, entry.max_side) == (
        family.size,
        family.min_side,
        family.max_side,
    )
    assert (entry.max_pixels, entry.scheduler) == (family.max_pixels, family.schedulers[0])
    assert entry.steps == family.variants[0].steps
    assert entry.guidance == family.variants[0].guidance
    assert entry.completed_by in {each.config or family.config for each in family.variants}
    assert entry.lent_by == family.config
    assert ModelEntry.model_validate_json(entry.model_dump_json()) == entry


def test_a_model_of_which_nothing_says_is_an_sdxl() -> None:
    assert ModelEntry(key="a", name="A", path="a/b").family is DEFAULT is SDXL


def test_every_checkpoint_that_can_be_told_has_a_family() -> None:
    told = [name for family in FAMILIES.values() for name in family.architectures]
    assert sorted(told) == sorted(USABLE)
    assert [of_architecture(name) for name in USABLE] == [*FAMILIES.values()]
    assert of_architecture("") is None


def test_well_known_repositories_are_of_one_family() -> None:
    known = [hub_id for family in FAMILIES.values() for hub_id in family.repositories]
    assert len(known) == len({*known})
    assert all(is_hub_id(hub_id) and hub_id == hub_id.casefold() for hub_id in known)
    assert of_repository("Lykon/DreamShaper-8") is SD15
    assert of_repository("some/thing") is None


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_documented_and_has_the_header_of_a_published_model(family: Family) -> None:
    page = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    table = page.partition("## Model families")[2].partition("\n## ")[0]
    assert all(word in table for word in (family.name, f"`{family.key}`", family.licence))
    assert any(family.key == name.partition("-")[0] for name in NAMES)
    assert f'"{family.key}"' in (ROOT / "catalog" / "models.toml").read_text(encoding="utf-8")


def test_the_variant_of_a_model_is_told_by_its_entry_or_by_its_names() -> None:
    family = replace(SDXL, variants=(BASE, DISTILLED))
    entry = partial(ModelEntry, key="a", family=family)
    for told in (
        entry(name="A", path="some/Model-Base"),
        entry(name="A", path="x.safetensors", variant="base"),
        entry(name="The base", path="some/model"),
    ):
        assert (told.told_variant, told.steps, told.lacks) == (BASE, BASE.steps, ())
    quick = entry(name="Distilled", path="some/model")
    assert (quick.told_variant, quick.steps) == (DISTILLED, DISTILLED.steps)
    assert quick.lacks == ("negative", "guidance")
    assert entry(name="A", path="some/model").told_variant is None
    with pytest.raises(ValidationError, match="default_negative is not for"):
        entry(name="Distilled", path="some/model", default_negative="fog")


BASE = Variant(
    name="base",
    words=("base",),
    steps=IntRange(min=10, default=50, max=100),
    guidance=FloatRange(min=1.0, default=4.0, max=10.0),
    takes_negative=True,
)
DISTILLED = Variant(
    name="distilled",
    words=("distilled",),
    steps=IntRange(min=1, default=4, max=8),
    guidance=FloatRange(min=1.0, default=1.0, max=1.0),
    takes_negative=False,
)


def test_a_model_whose_variant_nothing_tells_is_not_offered_until_its_entry_does(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = replace(SDXL, variants=(BASE, DISTILLED))
    monkeypatch.setattr("catalog.judging.of_architecture", lambda _: family)
    monkeypatch.setattr("catalog.schema.model.FAMILIES", {"sdxl": family})
    home.weights("far/odd.safetensors")
    home.put(home.models_dir / "far/odd.safetensors", checkpoint_bytes())
    text = '[models.odd]\nname = "Odd"\npath = "far/odd.safetensors"\n'
    home.write('default = "odd"\n' + text)
    unfit = home.read().unfit_models["odd"]
    assert str(unfit) == (
        "odd.safetensors is a Stable Diffusion XL model, but neither its files nor its name says"
        ' whether it is base or distilled; write variant = "base" or variant = "distilled" in its'
        " entry [models.odd] in models.toml"
    )
    home.write('default = "odd"\n' + text + 'variant = "distilled"\n')
    read = home.read()
    assert (read.unfit_models, read.models["odd"].steps) == ({}, DISTILLED.steps)
