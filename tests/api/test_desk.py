"""What of a call over HTTP is kept, and what is said of an image that is gone."""

from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from bot.api.callers import LOCAL
from bot.api.desk import Desk, _digest, _pruned
from bot.api.errors import NotFound
from bot.request import (
    CONTROL_IMAGES,
    Axis,
    AxisAsk,
    CompareDraft,
    Comparison,
    Draft,
    UpscaleDraft,
    Variation,
)
from bot.store import JobState
from tests.language import TEXTS
from tests.store.factories import request


def test_what_was_asked_before_an_option_was_added_is_still_the_same() -> None:
    """Otherwise a call that is repeated after an update would be refused as another one."""
    plain = Draft(prompt="a fox", seed=7)
    assert _digest(plain, {}) == "50b94b69664fe752fbbd1e2a666746bc90a890b5f3c2fd6b4410ec489e63e338"


def test_what_was_asked_of_other_calls_is_still_the_same() -> None:
    plain = Draft(prompt="a fox", seed=7)
    compared = CompareDraft(draft=plain, asks=(AxisAsk("steps", "20, 30"),))
    kept = "2980ff6cbea0095803ee7bb3f15dbc7ebde8606aa9b08f7bcc171993c2cfd18b"
    assert _digest(compared, {}) == kept
    kept = "5869f056f4328e1c2ab2c295ca29bbbd63f75bfb1ba8aa6f0e69a9225b1f575e"
    assert _digest(UpscaleDraft(scale=2.0), {"image": b"a"}) == kept
    other = CompareDraft(draft=replace(plain, extend="left"), asks=compared.asks)
    assert _digest(other, {}) != _digest(compared, {})


@pytest.mark.parametrize(
    "added", [{"variation": "12:0.2"}, {"extend": "left"}, {"control": "canny"}, {"tile": True}]
)
def test_what_an_added_option_asks_for_is_something_else(added: dict[str, Any]) -> None:
    plain = Draft(prompt="a fox", seed=7)
    assert _digest(plain, {}) != _digest(replace(plain, **added), {})


def test_another_mask_is_something_else() -> None:
    draft = Draft(prompt="a fox", seed=7)
    assert _digest(draft, {"image": b"a"}) != _digest(draft, {"image": b"a", "mask": b"b"})


@pytest.mark.parametrize("name", CONTROL_IMAGES)
def test_another_image_to_follow_is_something_else(name: str) -> None:
    draft = Draft(prompt="a fox", seed=7, control="canny")
    assert _digest(draft, {name: b"a"}) != _digest(draft, {name: b"b"}) != _digest(draft, {})


@pytest.mark.parametrize("locale", ["en-US", "de", "fr"])
def test_how_to_generate_an_image_again_is_said_in_ones_language(locale: str) -> None:
    say = TEXTS.speaker(locale)
    plain, varied = _pruned(request(), 43), _pruned(request(variation=Variation(7, 0.25)), 42)
    assert plain.params == {"seed": 43}
    assert "43" in say(plain.code, **plain.params)
    assert varied.params == {"seed": 7, "variation": "42:0.25"}
    mixed = say("result.variation").casefold()
    assert f"{mixed} 42:0.25" in say(varied.code, **varied.params).casefold()


@pytest.mark.parametrize("n", [0, -1, 5])
async def test_an_image_that_a_comparison_never_had_has_not_failed(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(comparison=Comparison((Axis("steps", ("4", "8")),), (request(), request())))
    job = MagicMock(request=asked, state=JobState.DELIVERED)
    desk = Desk(MagicMock(), MagicMock(), MagicMock(), MagicMock())
    monkeypatch.setattr(desk, "job", AsyncMock(return_value=job))
    monkeypatch.setattr(desk, "images", AsyncMock(return_value=(MagicMock(n=1),)))
    with pytest.raises(NotFound) as caught:
        await desk.image(LOCAL, "job", n)
    assert caught.value.code == "api.image.unknown"
    with pytest.raises(NotFound) as caught:
        await desk.image(LOCAL, "job", 1)
    assert caught.value.code == "compare.cell_failed"
