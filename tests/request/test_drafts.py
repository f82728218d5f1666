"""What can be asked for besides images, as typed."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest
from bot.request import (
    DRAFTS,
    AnyDraft,
    AxisAsk,
    CompareDraft,
    DescribeDraft,
    Draft,
    MapDraft,
    Picture,
    UpscaleDraft,
    axes_asked,
    compare,
    compose,
    compose_any,
    compose_describe,
    compose_upscale,
    kind_of,
)
from bot.request.mapping import compose_map
from bot.request.syntax import AdapterAsk
from catalog import Catalog, DescriberEntry, ModelEntry, UpscalerEntry
from catalog.upscalers import Upscalers

PICTURE = Picture("a" * 64, 90, 60)
MODEL = ModelEntry(key="demo", name="Demo", path="a/b")
CATALOG = Catalog(
    {"demo": MODEL},
    {},
    "demo",
    upscalers=Upscalers({"sharp": UpscalerEntry(key="sharp", name="Sharp", path="a/b")}),
    describer=DescriberEntry(path="a/b"),
)
STEPS = AxisAsk("steps", "20, 30")
FOX = Draft(prompt="a fox", seed=7, size="1024x1024")
EACH: dict[str, AnyDraft] = {
    "imagine": FOX,
    "compare": CompareDraft(draft=FOX, asks=(STEPS,)),
    "upscale": UpscaleDraft(scale=2),
    "map": MapDraft(type="canny"),
    "describe": DescribeDraft(style="short"),
}


def composed(draft: AnyDraft) -> Any:
    return compose_any(draft, CATALOG, nsfw=False, adapters_max=4, hashes={}).request


def test_each_is_composed_as_its_command_does() -> None:
    assert {kind: kind_of(draft) for kind, draft in EACH.items()} == {kind: kind for kind in DRAFTS}
    assert composed(EACH["imagine"]) == compose(FOX, CATALOG, nsfw=False)
    assert composed(EACH["compare"]) == compare(FOX, [STEPS], CATALOG, nsfw=False).request
    enlarged = EACH["upscale"].with_pictures({"image": PICTURE})
    assert isinstance(enlarged, UpscaleDraft)
    assert composed(enlarged) == compose_upscale(enlarged, CATALOG, nsfw=False).request
    assert composed(enlarged).inputs == (PICTURE.sha256,)
    described = EACH["describe"].with_pictures({"image": PICTURE})
    assert isinstance(described, DescribeDraft)
    assert composed(described) == compose_describe(described, CATALOG).request
    assert composed(described).inputs == (PICTURE.sha256,)
    followed = EACH["map"].with_pictures({"image": PICTURE})
    assert isinstance(followed, MapDraft)
    assert composed(followed) == compose_map(followed, CATALOG)
    assert composed(followed).inputs == (PICTURE.sha256,)


def test_an_image_is_in_every_cell() -> None:
    given = EACH["compare"].with_pictures({"image": PICTURE})
    assert [cell.inputs for cell in composed(given).each] == [(PICTURE.sha256,)] * 2


def test_there_is_nothing_to_enlarge_without_one() -> None:
    with pytest.raises(LookupError):
        EACH["upscale"].with_pictures({})


def test_all_that_is_named_is_looked_up() -> None:
    draft = CompareDraft(draft=FOX, asks=(AxisAsk("model", "one, two"), AxisAsk("lora")))
    assert {"a fox", "one, two"} <= {*draft.names}
    loras = (AdapterAsk("ember", None),)
    assert "ember" in UpscaleDraft(adapters=loras).names


def test_loras_are_only_for_what_is_painted_over() -> None:
    draft = UpscaleDraft(image=PICTURE, adapters=(AdapterAsk("ember", None),))
    with pytest.raises(InvalidRequest) as caught:
        composed(draft)
    assert (caught.value.code, caught.value.params["field"]) == ("upscale.crisp", "lora")


def test_values_belong_to_an_axis() -> None:
    assert axes_asked("steps", "20, 30", None, None) == (STEPS,)
    assert axes_asked("steps", "20, 30", "lora", None) == (STEPS, AxisAsk("lora"))
    with pytest.raises(InvalidRequest, match="axis2"):
        axes_asked("steps", None, None, "1, 2")


def test_models_may_be_named_by_the_hashes_of_their_files() -> None:
    hashes = {"demo": ("ab" * 32, "ab" * 5)}
    named = CompareDraft(
        draft=replace(FOX, model="ab" * 5), asks=(AxisAsk("model", f"{'ab' * 5}, other"),)
    )
    entries = {key: MODEL.model_copy(update={"key": key}) for key in ("demo", "other")}
    catalog = Catalog(entries, {}, "other")
    found = compose_any(named, catalog, nsfw=False, adapters_max=4, hashes=hashes).request
    assert [cell.model for cell in found.each] == ["demo", "other"]
    assert found.comparison is not None
    assert found.comparison.axes[0].values == ("demo", "other")
    steps = replace(named, asks=(STEPS,))
    found = compose_any(steps, catalog, nsfw=False, adapters_max=4, hashes=hashes).request
    assert {cell.model for cell in found.each} == {"demo"}
    with pytest.raises(InvalidRequest):
        compose_any(named, catalog, nsfw=False, adapters_max=4, hashes={})
    # One that is only for age-restricted channels has no hash in others.
    entries["demo"] = entries["demo"].model_copy(update={"nsfw": True})
    hidden = Catalog(entries, {}, "other")
    with pytest.raises(InvalidRequest):
        compose_any(named, hidden, nsfw=False, adapters_max=4, hashes=hashes)
