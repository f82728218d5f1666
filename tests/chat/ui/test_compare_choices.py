"""What is offered for the values of an axis."""

import pytest

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.compare_choices import value_choices
from bot.request import AXES, Draft
from tests.request.composing import CATALOG


def offered(axis: str, text: str = "", *, nsfw: bool = False, **fields: str) -> list[str]:
    draft = Draft(**{"prompt": "a fox", **fields})  # type: ignore[arg-type]
    return [choice.value for choice in value_choices(axis, text, draft, CATALOG, nsfw=nsfw)]


def test_the_usual_values_come_first_as_one_choice() -> None:
    assert offered("steps") == ["15, 22, 30, 45"]
    assert offered("model")[0] == "base, fast"
    assert offered("weight", lora="ink") == ["0, 0.4, 0.7, 1"]
    assert offered("weight") == []
    assert offered("prompt", prompt="a {red|blue} fox") == ["red, blue"]


def test_the_last_value_is_completed_and_the_earlier_kept() -> None:
    assert offered("model", "base, fa") == ["base, fa", "base, fast"]
    assert offered("lora", "off, in")[:2] == ["off, in", "off, ink"]
    assert "off" in offered("lora", "o")
    assert "1024x1024, 832x1216" in offered("size", "1024x1024, 83")
    assert "Euler, Euler a" in offered("scheduler", "Euler, euler a")


def test_what_is_only_for_age_restricted_channels_is_offered_there_alone() -> None:
    assert not any("adult" in value for value in offered("model", "a"))
    assert any("adult" in value for value in offered("model", "a", nsfw=True))


@pytest.mark.parametrize("axis", [*AXES, "nonsense"])
@pytest.mark.parametrize("text", ["", "x" * 99, ", , ", "a, b, c"])
def test_nothing_is_offered_that_discord_would_refuse(axis: str, text: str) -> None:
    found = offered(axis, text, lora="nowhere")
    assert len(found) <= CHOICES_MAX
    assert all(0 < len(value) <= CHOICE_LENGTH for value in found)
    assert len(set(found)) == len(found)
