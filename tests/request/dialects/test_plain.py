"""Models that read prompts as they are: what brackets mean elsewhere is named, once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request import (
    AxisAsk,
    Composed,
    Draft,
    GenerationRequest,
    compare,
    compose_with_notes,
)
from bot.request.dialects.plain import read_as_words
from bot.request.redraft import redraft
from catalog import AdapterEntry, Catalog, ModelEntry
from catalog.families import FAMILIES
from tests.language import TEXTS
from tests.request.dialects.catalog import codes

READING = [
    ModelEntry(key=f"{key}-{each.name}", name="M", path="a/b", family=family, variant=each.name)
    for key, family in FAMILIES.items()
    for each in family.variants
]
"""A model of every variant of every family."""
PLAIN = [model for model in READING if not model.family.takes_emphasis]
KLEIN = next(model for model in PLAIN if model.key == "flux2-distilled")
GUIDED = next(model for model in PLAIN if model.takes_negative)
SDXL = next(model for model in READING if model.family.takes_emphasis)
INK = AdapterEntry(key="ink", name="Ink", path="a/b", trigger_words=("(ink wash:1.2)",))
ESCAPED = AdapterEntry(key="ink-escaped", name="Ink", path="a/b", trigger_words=(r"ink \(wash\)",))
CATALOG = Catalog(
    {model.key: model for model in READING}, {e.key: e for e in (INK, ESCAPED)}, SDXL.key
)
FORMS = [
    ("a (fox:1.3)", "(a:1.2)"),
    ("a (fox)", "(a:1.2)"),
    ("a (fox", "(a:1.2)"),
    ("a fox in [snow]", "[a]"),
    ("a [fox:cat:0.5]", "[a:b:0.5]"),
    ("a [fox|cat]", "[a:b:0.5]"),
    ("a [fox:cat:half]", "[a]"),
    ("a red coat BREAK a forest", "BREAK"),
    ("(fox) (cat) [snow] (a:2) BREAK b BREAK c", "(a:1.2), [a], BREAK"),
]
WORDS = [
    "a fox",
    r"saber \(fate\)",
    r"a \[fox:cat:0.5\] \(x:1.3\)",
    "a fox :) and 1) a cat]",
    "nothing in ()",
    "BREAKING news, a break",
    "a fox: red | blue",
]


def composed(prompt: str, model: ModelEntry, **options: Any) -> Composed:
    draft = Draft(prompt=prompt, model=model.key, **options)
    return compose_with_notes(draft, CATALOG, nsfw=False, draw=lambda: 1)


def plain(made: Composed) -> list[dict[str, Any]]:
    return [dict(note.params) for note in made.notes if note.code == "dialect.plain"]


@pytest.mark.parametrize("model", READING, ids=lambda model: model.key)
@pytest.mark.parametrize(("prompt", "forms"), FORMS)
def test_a_form_is_understood_or_named_once(model: ModelEntry, prompt: str, forms: str) -> None:
    """Of every family: a new one has to do one or the other."""
    if model.family.takes_emphasis and prompt == "a [fox:cat:half]":
        return  # refused, with what to write
    made = composed(prompt, model)
    named = [] if model.family.takes_emphasis else [{"model": model.key, "forms": forms}]
    assert plain(made) == named
    alone = [note.params["form"] for note in made.notes if note.code == "dialect.form.words"]
    only = model.family.takes_emphasis and not model.family.takes_break and "BREAK" in forms
    assert alone == (["BREAK"] if only else [])
    assert made.request.prompt == prompt
    if not model.family.takes_emphasis:
        assert made.request.painted_texts[0] == (prompt,)


@pytest.mark.parametrize("prompt", WORDS)
def test_what_means_nothing_anywhere_needs_no_note(prompt: str) -> None:
    assert composed(prompt, KLEIN).notes == ()


@pytest.mark.parametrize("model", PLAIN, ids=lambda model: model.key)
def test_an_escaped_bracket_is_read_as_the_bracket(model: ModelEntry) -> None:
    typed = r"saber \(fate\) \[x\] in C:\new, \\(a"
    negative = {"negative": r"\(fog\)"} if model.takes_negative else {}
    made = composed(typed, model, **negative).request
    read = r"saber (fate) [x] in C:\new, \(a"
    assert (made.prompt, made.whole_prompt, made.painted_prompt) == (typed, typed, read)
    assert {turn.prompt for each in made.turns for turn in each} == {read}
    if negative:
        assert {turn.negative for each in made.turns for turn in each} == {"(fog)"}
    # Typed again, for a model that weighs words, it means the same.
    again = composed(redraft(made, CATALOG, nsfw=False).prompt, SDXL).request
    assert (again.prompt, again.painted_prompt) == (typed, typed)


def test_drawn_texts_and_trigger_words_are_read_so_as_well() -> None:
    made = composed(r"{a \(x\)|b \(x\)}", KLEIN, lora="ink-escaped").request
    assert made.painted_prompt in ("a (x), ink (wash)", "b (x), ink (wash)")


@pytest.mark.parametrize("model", READING, ids=lambda model: model.key)
def test_a_request_of_an_earlier_version_is_read_as_it_was(model: ModelEntry) -> None:
    typed = r"saber \(fate\)"
    stored = composed(typed, model).request.to_dict()
    stored.pop("escapes", None)
    assert GenerationRequest.from_dict(stored).painted_prompt == typed


def test_negative_prompts_and_trigger_words_count() -> None:
    assert plain(composed("a fox", GUIDED, negative="(fog:1.2)"))[0]["forms"] == "(a:1.2)"
    assert plain(composed("a fox", KLEIN, lora="ink"))[0]["forms"] == "(a:1.2)"


def test_what_was_drawn_counts() -> None:
    made = composed("a {(fox:1.2)|[cat]}", KLEIN, count=4)
    drawn = {each.prompt for each in made.request.prompts}
    forms = plain(made)[0]["forms"]
    assert ("(a:1.2)" in forms, "[a]" in forms) == ("a (fox:1.2)" in drawn, "a [cat]" in drawn)


def test_a_comparison_names_each_model_that_reads_plainly() -> None:
    models = ", ".join((SDXL.key, KLEIN.key, GUIDED.key))
    request = compare(
        Draft(prompt="a (fox:1.2)"), [AxisAsk("model", models)], CATALOG, nsfw=False
    ).request
    notes = read_as_words(request, CATALOG)
    assert [note.params["model"] for note in notes] == [KLEIN.key, GUIDED.key]


@pytest.mark.parametrize("prompt", ["hot::2 dog", "a (red ball)++", "1.5::rain::, a fox"])
def test_nobody_is_told_to_write_what_has_no_meaning_either(prompt: str) -> None:
    assert "dialect.form.instead" in codes(composed(prompt, SDXL).notes)
    for model in PLAIN:
        made = codes(composed(prompt, model).notes)
        assert "dialect.form.words" in made
        assert "dialect.form.instead" not in made


@pytest.mark.parametrize(
    ("prompt", "told", "kept"),
    [
        ("a fox --sref 123", "dialect.flag.nothing", "dialect.flag.instead"),
        ("https://example.org/a.png a fox", "dialect.form.left_out", "dialect.form.left_out_for"),
    ],
)
def test_nobody_is_told_to_use_an_option_that_is_refused(prompt: str, told: str, kept: str) -> None:
    assert codes(composed(prompt, KLEIN).notes) == [told]
    assert codes(composed(prompt, SDXL).notes) == [kept]
    assert codes(composed("a fox --q 2", KLEIN).notes) == ["dialect.flag.instead"]


@pytest.mark.parametrize("language", ["en-US", "de", "fr"])
def test_the_sentence_names_the_model_and_the_forms(language: str) -> None:
    (note,) = composed("a (fox:1.3) BREAK [snow]", KLEIN).notes
    said = TEXTS.speaker(language)(note.code, **note.params)
    assert KLEIN.key in said
    assert "(a:1.2), [a], BREAK" in said


@given(st.text(st.sampled_from("ab ()[]:|\\1."), max_size=30))
def test_a_text_without_a_note_is_words_to_every_model(text: str) -> None:
    """What has another weight somewhere, or changes on the way, is named."""
    from bot.request import emphasis
    from bot.request.editing import Editing

    weighted = any(abs(span.weight - 1) > 1e-9 for span in emphasis.parse(text))
    named = bool(emphasis.marks(text)) or bool(Editing(text))
    assert named or not weighted
    assert named or emphasis.parse(text) == emphasis.parse(_escaped(emphasis.plain(text)))


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "()[]\\" else sign for sign in text)
