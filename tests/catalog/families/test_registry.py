"""What the catalog and requests know about each model family."""

import pytest

from catalog import SCHEDULERS, ModelEntry
from catalog.families import DEFAULT, FAMILIES, SDXL, Family
from catalog.locate import is_hub_id


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


def test_a_model_has_a_family_which_its_owner_is_not_asked_for() -> None:
    entry = ModelEntry(key="a", name="A", path="a/b")
    assert entry.family is DEFAULT is SDXL
    assert "family" not in ModelEntry.model_fields
    assert entry.size == SDXL.size
    assert entry.scheduler == SDXL.schedulers[0]
