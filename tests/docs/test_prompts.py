"""What the page about other programs' prompts says is what happens: each row is run."""

import re
from typing import Any, Final

import pytest

from bot.errors import UserError
from bot.request.dialects.flags import FLAGS
from bot.request.dialects.forms import FORMS
from bot.request.dialects.infotext import parse_infotext
from bot.request.dialects.samplers import find_scheduler
from tests.docs.pages import ROOT, blocks, text
from tests.request.dialects.catalog import composed, said

PAGE: Final = ROOT / "docs" / "prompts.md"


def rows(heading: str) -> list[tuple[str, str]]:
    """Both cells of each row of the table under that heading."""
    section = text(PAGE).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.MULTILINE)
    return [(written.replace("\\|", "|"), what) for written, what in found]


FORM_ROWS: Final = rows("Forms inside a prompt")
SAMPLER_ROWS: Final = rows("Samplers")


@pytest.mark.parametrize(("prompt", "what"), FORM_ROWS, ids=[row[0] for row in FORM_ROWS])
def test_each_form_does_what_the_page_says(prompt: str, what: str) -> None:
    verb = re.match(r"\*\*([A-Za-z ]+)\*\*", what)
    spans = re.findall(r"`([^`]+)`", what)
    assert verb is not None
    if verb[1] == "Refused":
        with pytest.raises(UserError):
            composed(prompt)
        return
    made = composed(prompt)
    notes = [dict(note.params) for note in made.notes]
    match verb[1]:
        case "Works":
            assert (made.request.prompt, notes) == (prompt, [])
        case "Draws":
            assert made.request.template is not None
            assert notes == []
        case "Sets":
            assert made.request.prompt == "a fox"
            assert str(_value(made.request, spans[0])) == str(_value_of(*spans[:2]))
        case "Left out":
            assert made.request.prompt in {"a fox", "a fox of"}
            assert [note.get("option") for note in notes] == (spans or [None])
        case "Painted as words":
            assert made.request.prompt == prompt
            assert [note.get("instead") for note in notes] == (spans or [None])
        case _:
            raise AssertionError(what)


def _value(request: Any, option: str) -> object:
    return (request.width, request.height) if option == "size" else getattr(request, option)


def _value_of(option: str, typed: str) -> object:
    """What the option itself makes of it."""
    chosen: dict[str, Any] = {option: int(typed) if option == "seed" else typed}
    return _value(composed("a fox", **chosen).request, option)


def test_every_form_and_every_replaced_flag_has_a_row() -> None:
    written = [prompt for prompt, _ in FORM_ROWS]
    for form in FORMS:
        assert any(form.pattern.search(prompt) for prompt in written), form.name
    for flag in FLAGS:
        if flag.option or flag.instead:
            names = "|".join(flag.names)
            known = any(re.search(rf"--(?:{names})\b", prompt) for prompt in written)
            assert known or flag.instead in {"reference", "reference_weight"}, flag.names


def test_the_pasted_text_is_taken_over() -> None:
    [example] = blocks(PAGE, "text")
    made = composed(example.replace("\n", " "))
    assert (made.request.prompt, made.request.negative) == ("a fox, (snow:1.2)", "blurry")
    assert (made.request.model, made.request.seed, made.request.steps) == ("base", 42, 20)
    assert said(made.notes)["infotext.left"] == {"names": "ENSD"}
    named = set(re.findall(r"`([A-Z][^`]+)`", text(PAGE)))
    assert {*parse_infotext(example).settings} - {"ENSD"} <= named


@pytest.mark.parametrize(("theirs", "ours"), SAMPLER_ROWS)
def test_each_sampler_is_found(theirs: str, ours: str) -> None:
    assert find_scheduler(theirs) == ours.strip("`")


def test_the_tables_are_read() -> None:
    assert len(FORM_ROWS) >= 40
    assert len(SAMPLER_ROWS) > 10
