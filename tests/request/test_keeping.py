"""What a preset keeps of a request, and which presets may be saved."""

from typing import Any

import pytest

from bot.errors import InvalidRequest
from bot.request import Draft, Named, Options, compose
from bot.request.keeping import NAME_MAX, USUAL, Part, checked_name, checked_options, options_of
from bot.request.options import LORA_MAX
from tests.request.test_applying import CATALOG

ASKED: dict[str, Any] = {
    "prompt": "a {red|blue} fox",
    "negative": "snow",
    "model": "second",
    "lora": "ink:0.5, oil:0.8:0.4",
    "steps": 24,
    "guidance": 5.5,
    "size": "832x1216",
    "count": 2,
    "scheduler": "Euler a",
    "hires": 1.5,
    "clip_skip": 3,
    "seed": 7,
}


def kept(*parts: Part, prompt: str = "", **asked: Any) -> Options:
    request = compose(Draft(**{**ASKED, **asked}), CATALOG, nsfw=False)
    return options_of(request, parts, prompt, CATALOG, nsfw=False)


def test_all_of_a_request_makes_the_same_request_again() -> None:
    request = compose(Draft(**ASKED), CATALOG, nsfw=False)
    options = options_of(request, [*Part], ASKED["prompt"], CATALOG, nsfw=False)
    assert options.given == {**ASKED, "hires": 1.5}
    again = compose(
        Draft(prompt="", preset="x"),
        CATALOG,
        nsfw=False,
        saved=[Named("x", checked_options(options))],
    )
    assert again == request


def test_the_seed_of_a_variation_is_kept_with_what_is_mixed_in() -> None:
    """Without it, that is the seed of another image."""
    asked = compose(Draft(**ASKED, variation="12:0.2"), CATALOG, nsfw=False)
    options = options_of(asked, [*Part], ASKED["prompt"], CATALOG, nsfw=False)
    saved = [Named("x", checked_options(options))]
    again = compose(Draft(prompt="", preset="x"), CATALOG, nsfw=False, saved=saved)
    assert (again, again.mixed_in) == (asked, "12:0.2")
    assert kept(Part.SIZE, variation="12:0.2").variation is None


def test_each_part_keeps_its_own_options() -> None:
    expected = {
        Part.MODEL: {"model"},
        Part.LORAS: {"lora"},
        Part.NEGATIVE: {"negative"},
        Part.SIZE: {"size"},
        Part.SAMPLING: {"steps", "guidance", "scheduler", "clip_skip"},
        Part.HIRES: {"hires"},
        Part.COUNT: {"count"},
        Part.SEED: {"seed"},
    }
    for part, names in expected.items():
        assert set(kept(part).given) == names
    assert kept(Part.SAMPLING, model="base", preset="fast", guidance=2, steps=None).preset == "fast"
    # What a request has not is left open.
    assert kept(Part.LORAS, Part.HIRES, lora=None, hires=None, prompt=" dusk ").given == {
        "prompt": "dusk"
    }
    assert not {Part.COUNT, Part.SEED} & {*USUAL}


@pytest.mark.parametrize(
    ("name", "clean"),
    [(" Moody  blue ", "Moody blue"), ("a\nb\u202e\x00", "a b"), ("été 日本 🦊", "été 日本 🦊")],
)
def test_a_name_is_one_line(name: str, clean: str) -> None:
    assert checked_name(name) == clean


@pytest.mark.parametrize(
    ("name", "code", "params"),
    [
        ("", "empty", {}),
        ("\u200b \u3164", "empty", {}),
        ("x" * (NAME_MAX + 1), "long", {"value": 51, "max": 50}),
        ("a, b", "comma", {"value": "a, b"}),
        ("FAST", "reserved", {"value": "FAST"}),
    ],
)
def test_some_names_are_none(name: str, code: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as error:
        checked_name(name)
    assert error.value.code == f"presets.name.{code}"
    assert error.value.params == {"field": "name", **params}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (Options(), "presets.empty"),
        (Options(prompt="  ", lora=""), "presets.empty"),
        (Options(prompt="x" * 2_001), "presets.long"),
        (Options(negative="x" * 2_001), "presets.long"),
        (Options(lora="x" * (LORA_MAX + 1)), "presets.long"),
        (Options(preset="moody"), "preset.unknown"),
        (
            Options(prompt="a fox\nNegative prompt: b\nSteps: 20, Sampler: Euler a, CFG scale: 7"),
            "presets.pasted",
        ),
    ],
)
def test_some_options_are_none_of_a_preset(options: Options, code: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        checked_options(options)
    assert error.value.code == code


def test_options_are_tidied() -> None:
    given = Options(prompt=" a ", lora=" ", negative="", preset="Fast", steps=0)
    assert checked_options(given).given == {
        "prompt": "a",
        "negative": "",
        "preset": "fast",
        "steps": 0,
    }
