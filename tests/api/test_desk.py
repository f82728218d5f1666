"""What of a call over HTTP is kept, and what is said of an image that is gone."""

from dataclasses import replace
from typing import Any

import pytest

from bot.api.desk import _digest, _pruned
from bot.request import Draft, Variation
from tests.language import TEXTS
from tests.store.factories import request


def test_what_was_asked_before_an_option_was_added_is_still_the_same() -> None:
    """Otherwise a call that is repeated after an update would be refused as another one."""
    plain = Draft(prompt="a fox", seed=7)
    assert _digest(plain, {}) == "50b94b69664fe752fbbd1e2a666746bc90a890b5f3c2fd6b4410ec489e63e338"


@pytest.mark.parametrize("added", [{"variation": "12:0.2"}, {"extend": "left"}])
def test_what_an_added_option_asks_for_is_something_else(added: dict[str, Any]) -> None:
    plain = Draft(prompt="a fox", seed=7)
    assert _digest(plain, {}) != _digest(replace(plain, **added), {})


def test_another_mask_is_something_else() -> None:
    draft = Draft(prompt="a fox", seed=7)
    assert _digest(draft, {"image": b"a"}) != _digest(draft, {"image": b"a", "mask": b"b"})


@pytest.mark.parametrize("locale", ["en-US", "de", "fr"])
def test_how_to_generate_an_image_again_is_said_in_ones_language(locale: str) -> None:
    say = TEXTS.speaker(locale)
    plain, varied = _pruned(request(), 43), _pruned(request(variation=Variation(7, 0.25)), 42)
    assert plain.params == {"seed": 43}
    assert "43" in say(plain.code, **plain.params)
    assert varied.params == {"seed": 7, "variation": "42:0.25"}
    mixed = say("result.variation").casefold()
    assert f"{mixed} 42:0.25" in say(varied.code, **varied.params).casefold()
