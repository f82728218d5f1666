"""A catalog narrowed to a place: what may not be used there is neither found nor named."""

import pytest

from bot.errors import InvalidRequest, Refused, UserError
from bot.request.offers import default_model, find_adapter, find_model
from catalog import (
    EVERYTHING,
    AdapterEntry,
    AdapterFacts,
    Allowance,
    Catalog,
    FastPreset,
    ModelEntry,
)

FAST = FastPreset(adapter="frost", steps=4, guidance=1.5, scheduler="LCM")
MODELS = [
    ModelEntry(key="demo", name="Demo", path="org/demo", tags=("toy",)),
    ModelEntry(key="photo", name="Photo XL", path="org/photo", tags=("real",)),
    ModelEntry(key="paint", name="Painter", path="org/paint", fast=FAST),
    ModelEntry(key="adults", name="Adults", path="org/adults", nsfw=True, tags=("real",)),
]
ADAPTERS = [
    AdapterEntry(key="ember", name="Ember glow", path="org/ember", tags=("warm",)),
    AdapterEntry(key="frost", name="Frost", path="org/frost", tags=("cold",), models=("photo",)),
    AdapterEntry(key="old", name="Frosted", path="org/old", tags=("cold",)),
]
CATALOG = Catalog(
    {model.key: model for model in MODELS},
    {adapter.key: adapter for adapter in ADAPTERS},
    "demo",
    adapter_facts={"old": AdapterFacts(base="SD 1.5", certain=True)},
)


def allowing(*names: str) -> Allowance:
    return Allowance(allow=(frozenset(names),))


def blocking(*names: str) -> Allowance:
    return Allowance(block=frozenset(names))


@pytest.mark.parametrize(
    ("allowance", "left"),
    [
        (EVERYTHING, ["demo", "photo", "paint"]),
        (allowing("photo", "#toy"), ["demo", "photo"]),
        (blocking("#real"), ["demo", "paint"]),
        (Allowance((frozenset({"#real"}), frozenset({"photo"}))), ["photo"]),
        (Allowance((frozenset({"#real"}),), frozenset({"photo"})), []),
    ],
)
def test_lists_by_key_and_by_tag(allowance: Allowance, left: list[str]) -> None:
    narrowed = CATALOG.narrowed(allowance, EVERYTHING)
    assert [model.key for model in narrowed.offered_models(nsfw=False)] == left
    assert [model.key for model in narrowed.search_models("", nsfw=False)] == left
    assert default_model(narrowed, nsfw=False) == (left[0] if left else "")


def test_the_default_is_what_the_levels_choose_if_it_is_left() -> None:
    first = ("adults", "gone", "paint", "photo")
    narrowed = CATALOG.narrowed(EVERYTHING, EVERYTHING, first)
    assert default_model(narrowed, nsfw=True) == "adults"
    assert default_model(narrowed, nsfw=False) == "paint"
    assert CATALOG.narrowed(blocking("paint"), EVERYTHING, first).default == "adults"
    assert CATALOG.default == "demo"


def test_what_is_left_out_is_neither_found_nor_suggested() -> None:
    narrowed = CATALOG.narrowed(allowing("demo", "paint"), blocking("#cold"))
    assert narrowed.search_adapters("fro", nsfw=True) == ()
    assert narrowed.search_misfits("fro", nsfw=True, model="demo") == ()
    assert narrowed.nearest_models("foto", nsfw=True) == ()
    for name in ("photo", "Photo XL", "org/photo"):
        with pytest.raises(UserError) as error:
            find_model(narrowed, name, nsfw=True)
        assert set(error.value.params.values()) == {name} or "photo" not in str(
            {key: value for key, value in error.value.params.items() if key != "value"}
        )
    with pytest.raises(Refused, match=r"lora\.not_here"):
        find_adapter(narrowed, "frost", model=MODELS[0], nsfw=True)
    with pytest.raises(InvalidRequest) as wrong:
        find_adapter(narrowed, "frosd", model=MODELS[0], nsfw=True)
    assert "frost" not in str(wrong.value.params)


def test_a_lora_for_a_model_that_is_left_out_does_not_name_it() -> None:
    narrowed = CATALOG.narrowed(blocking("photo"), EVERYTHING)
    with pytest.raises(UserError) as error:
        find_adapter(narrowed, "frost", model=MODELS[0], nsfw=True)
    assert "photo" not in str(error.value.params)


def test_it_is_made_once_and_shares_its_indexes() -> None:
    narrowed = CATALOG.narrowed(blocking("photo"), EVERYTHING)
    assert CATALOG.narrowed(blocking("photo"), EVERYTHING) is narrowed
    assert narrowed._adapter_index is CATALOG._adapter_index
    again = narrowed.narrowed(blocking("demo"), EVERYTHING)
    assert [*again.models] == ["paint", "adults"]
