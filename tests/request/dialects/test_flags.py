"""Midjourney's flags: taken, named, and told from prose."""

from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import Picture
from bot.request.dialects.flags import FLAGS, Kind, extract_flags
from tests.request.dialects.catalog import SEED, codes, composed

IMAGE = Picture("a" * 64, 1024, 1024)
PART: dict[str, Any] = {"image": IMAGE, "mask": IMAGE}
OF_A_MASK = {"inpaint_area": "masked", "inpaint-area": "masked"}
BESIDE: dict[str, dict[str, Any]] = {
    "inpaint_area": PART,
    "inpaint-area": PART,
    "inpaint_padding": {**PART, "inpaint_area": "masked"},
    "inpaint-padding": {**PART, "inpaint_area": "masked"},
}
"""What else is asked for where a flag alone would mean nothing."""


def test_what_is_taken() -> None:
    made = composed("a fox --ar 3:2 --no snow, trees --seed 42")
    request = made.request
    assert (request.prompt, request.negative, request.seed) == ("a fox", "snow, trees", 42)
    assert (request.width, request.height) == composed("a", size="3:2").request.final_size
    assert made.notes == ()


@pytest.mark.parametrize(
    ("typed", "size"),
    [
        ("--ar 16:9", "16:9"),
        ("--aspect 2/3", "2:3"),
        ("--AR 1.91:1", "191:100"),
        ("—ar 16:9", "16:9"),
        ("--ar 832x1216", "13:19"),
        ("--ar=4:6", "2:3"),
    ],
)
def test_ratios(typed: str, size: str) -> None:
    found = extract_flags(f"a fox {typed}")
    assert (found.prompt, found.options) == ("a fox", {"size": size})


def test_any_seed() -> None:
    assert composed("a fox --seed -1").request.seed == SEED


def test_what_was_chosen_counts_for_more() -> None:
    made = composed("a fox --ar 3:2 --seed 7 --no snow", size="1:1", seed=5, negative="(blurry")
    assert (made.request.width, made.request.seed) == (1024, 5)
    assert made.request.negative == "(blurry,) snow"
    assert [dict(note.params) for note in made.notes] == [
        {"flag": "--ar", "option": "size"},
        {"flag": "--seed", "option": "seed"},
    ]


def test_the_rest_is_named_by_what_to_use_instead() -> None:
    made = composed("a fox --v 6.1 --niji --q 2 --s 250 --c 10 --style raw --raw --p abc --foo")
    assert made.request.prompt == "a fox"
    assert [dict(note.params) for note in made.notes] == [
        {"flags": "--v, --niji", "option": "model"},
        {"flags": "--q", "option": "steps"},
        {"flags": "--s, --c, --raw, --p, --foo"},
        {"flags": "--style", "option": "lora"},
    ]


@pytest.mark.parametrize("name", [name for flag in FLAGS for name in flag.names])
def test_every_flag_is_taken_or_named(name: str) -> None:
    flag = next(flag for flag in FLAGS if name in flag.names)
    value = {Kind.RATIO: "2:3", Kind.NOTHING: ""}.get(flag.kind, "5")
    if flag.option == "detail":
        with pytest.raises(Refused, match=r"detail\.no_detector"):
            composed(f"a fox --{name} face")
        return
    made = composed(f"a fox --{name} {OF_A_MASK.get(name, value)}", **BESIDE.get(name, {}))
    assert made.request.prompt == "a fox"
    assert bool(flag.option) != bool(made.notes)


@pytest.mark.parametrize("typed", ["--tile", "--tile --ar 1:1", "--TILE", "—ar 1:1 —tile"])
def test_opposite_edges_are_to_meet(typed: str) -> None:
    made = composed(f"a fox {typed}")
    assert (made.request.prompt, made.request.tile, made.notes) == ("a fox", True, ())
    assert not composed("a fox on a tile — tile by tile").request.tile


def test_whether_they_are_to_was_chosen_otherwise() -> None:
    made = composed("a fox --tile", tile=False)
    assert not made.request.tile
    assert [dict(note.params) for note in made.notes] == [{"flag": "--tile", "option": "tile"}]


def test_words_after_a_flag_stay() -> None:
    assert extract_flags("a fox --s 50 in the snow, --ar 2:3 at dawn").prompt == (
        "a fox in the snow, at dawn"
    )


def test_references_may_be_several() -> None:
    found = extract_flags("a fox --sref https://x.test/a.png https://x.test/b.png 123 --sw 50")
    assert found.prompt == "a fox"
    assert codes(found.named) == ["dialect.flag.instead"] * 2


@pytest.mark.parametrize(
    "prompt",
    [
        "a fox -- in the snow",
        "a fox --elegant and sly-- runs",
        "a well--lit room",
        "a fox—no snow in sight",
        "a fox —no snow in sight",
        "the letter --s on a sign",
        "-ar 2:3 -no",
        "3 -- 4 --",
        "<--no-->",
        "--c-3po--",
    ],
)
def test_dashes_in_prose_are_prose(prompt: str) -> None:
    assert extract_flags(prompt).prompt == prompt
    assert extract_flags(prompt).named == ()


@pytest.mark.parametrize("typed", ["--ar wide", "--seed abc", "--seed 1.5", "--ar", "--no"])
def test_a_value_that_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        extract_flags(f"a fox {typed}")
    assert error.value.code == "dialect.flag.value"
    assert error.value.params["flag"] == typed.split()[0]


def test_limits_are_those_of_the_options() -> None:
    with pytest.raises(InvalidRequest, match="size"):
        composed("a fox --ar 99:1")
    with pytest.raises(InvalidRequest, match=r"number\.range"):
        composed("a fox --seed 4294967296")


def test_notes_quote_no_words_of_the_prompt() -> None:
    made = composed("a canary --style canary --sref canary --weird canary")
    assert made.notes
    assert "canary" not in repr(made.notes)
