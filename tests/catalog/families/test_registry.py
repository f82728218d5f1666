"""What the catalog and requests know about each model family."""

import pytest

from catalog import SCHEDULERS, ModelEntry
from catalog.families import (
    DEFAULT,
    FAMILIES,
    SD15,
    SDXL,
    Family,
    of_architecture,
    of_repository,
)
from catalog.locate import is_hub_id
from catalog.weight_files.layouts import USABLE


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_a_family_says_holds_together(family: Family) -> None:
    assert FAMILIES[family.key] is family
    assert is_hub_id(family.config)
    assert set(family.schedulers) <= set(SCHEDULERS)
    if family.draft is not None:
        assert set(family.draft.schedulers) <= set(family.schedulers)
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
    assert entry.completed_by == family.config
    assert ModelEntry.model_validate_json(entry.model_dump_json()) == entry


def test_a_model_of_which_nothing_says_is_an_sdxl() -> None:
    assert ModelEntry(key="a", name="A", path="a/b").family is DEFAULT is SDXL


def test_every_checkpoint_that_can_be_told_has_a_family() -> None:
    told = [name for family in FAMILIES.values() for name in family.architectures]
    assert sorted(told) == sorted(USABLE)
    assert [of_architecture(name) for name in USABLE] == [SDXL, SD15]
    assert of_architecture("") is None


def test_well_known_repositories_are_of_one_family() -> None:
    known = [hub_id for family in FAMILIES.values() for hub_id in family.repositories]
    assert len(known) == len({*known})
    assert all(is_hub_id(hub_id) and hub_id == hub_id.casefold() for hub_id in known)
    assert of_repository("Lykon/DreamShaper-8") is SD15
    assert of_repository("some/thing") is None
