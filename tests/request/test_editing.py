"""Prompt editing: from which step on a prompt is which text."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import Draft, GenerationRequest, compose, emphasis
from bot.request.editing import TEXTS_MAX, Editing, Turn, turns
from catalog import AdapterEntry, Catalog, EmbeddingEntry, Embeddings, ModelEntry

Schedule = tuple[tuple[int, str], ...]


def at(text: str, steps: int = 10, before: int | None = None) -> Schedule:
    return Editing(text).schedule(steps, before)


def web_ui(by_step: list[tuple[int, str]]) -> Schedule:
    """What the web UI does with a list such as [(3, "a"), (10, "b")]: the last step of each text.

    Its denoiser counts from 0, and takes the first text whose last step is not yet passed.
    """
    steps = by_step[-1][0]
    used = [next(text for last, text in by_step if step <= last) for step in range(steps)]
    return tuple(
        (step, text) for step, text in enumerate(used) if not step or used[step - 1] != text
    )


@pytest.mark.parametrize(
    ("text", "by_step"),
    [
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [b:3 ]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [unbalanced", [(10, "a [unbalanced")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b::.5] c", [(5, "a b c"), (10, "a  c")]),
        ("a [:b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("[a|(b:1.1)]", [(n, "(b:1.1)" if n % 2 == 0 else "a") for n in range(1, 11)]),
        ("[fe|]male", [(n, "male" if n % 2 == 0 else "female") for n in range(1, 11)]),
        ("[fe|||]male", [(n, "female" if n % 4 == 1 else "male") for n in range(1, 11)]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:0.0]", [(10, "b")]),
        ("[a:b:0.09]", [(10, "b")]),
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b:1]", [(1, "a"), (10, "b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:9]", [(9, "a"), (10, "b")]),
        ("[a:b:25]", [(10, "a")]),
        ("[a:b:1e9999]", [(10, "a")]),
        ("[a|b]:[c:d:2]", [(n, f"{'ab'[(n - 1) % 2]}:{'cd'[n > 2]}") for n in range(1, 11)]),
        ("[[a|b]:c:3]", [(1, "a"), (2, "b"), (3, "a"), (10, "c")]),
        ("[a|[b:c:4]]", [(n, "a" if n % 2 else "b" if n <= 4 else "c") for n in range(1, 11)]),
    ],
)
def test_texts_change_at_the_web_uis_steps(text: str, by_step: list[tuple[int, str]]) -> None:
    assert at(text) == web_ui(by_step)


@pytest.mark.parametrize(
    ("text", "by_step"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("[a:b:20]", [(10, "b")]),
        ("[a:b:23]", [(3, "a"), (10, "b")]),
        ("[a:b:2.0]", [(10, "a")]),
        ("[a|b]", [(n, "a" if n % 2 else "b") for n in range(1, 11)]),
    ],
)
def test_the_count_goes_on_in_the_second_pass(text: str, by_step: list[tuple[int, str]]) -> None:
    assert at(text, 10, before=20) == web_ui(by_step)


def test_a_share_is_cut_to_whole_steps_as_the_web_ui_does() -> None:
    assert at("[a:b:0.29]", 100) == ((0, "a"), (29, "b"))  # 0.29 · 100 is 28.999…


@pytest.mark.parametrize(
    "text",
    [
        "[fox]",
        "[fox",
        "fox:0.5]",
        "[Re:Zero]",
        "(a|b)",
        "a | b",
        "{a|b}",
        r"\[a:b:0.5\]",
        r"\[a|b\]",
        r"[a\|b]",
        r"[a\:0.5]",
        "[a (b:0.5]",
        "[a) b:0.5]",
        "(a:0.5)",
        "[(a:0.5)]",
        "[embedding:hands]",
        "[embedding:0.5]",
        "[<embedding:7>]",
        "[a:b:c:d]",
    ],
)
def test_other_brackets_are_no_editing(text: str) -> None:
    editing = Editing(text)
    assert not editing
    assert not editing.faults
    assert editing.schedule(10) == ((0, text),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[embedding:hands:2]", ((0, ""), (3, "embedding:hands"))),
        ("[<embed:7>:2]", ((0, ""), (3, "<embed:7>"))),
        ("[embedding:a|embedding:b]", ((0, "embedding:a"), (2, "embedding:b"))),
        ("[Re:Zero|Naruto]", ((0, "Re:Zero"), (2, "Naruto"))),
        ("(a [b:2]:1.3)", ((0, "(a :1.3)"), (3, "(a b:1.3)"))),
        ("[a BREAK b:c:2]", ((0, "a BREAK b"), (3, "c"))),
        (r"[a\]:b:2]", ((0, r"a\]"), (3, "b"))),
        ("a | [b:2]", ((0, "a | "), (3, "a | b"))),
    ],
)
def test_what_stands_inside_or_around(text: str, expected: Schedule) -> None:
    assert at(text, 4)[:2] == expected


def test_texts_that_do_not_change_are_one() -> None:
    assert at("a [b:b:0.5] [c|c|c]", 10) == ((0, "a b c"),)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[a:b:half]", "prompt.edit_when"),
        ("[a:b:50%]", "prompt.edit_when"),
        ("[a:b:0,5]", "prompt.edit_when"),
        ("[a:b:]", "prompt.edit_when"),
        ("[b:0,5]", "prompt.edit_when"),
        ("[b: 50 %]", "prompt.edit_when"),
        ("[a:b:c:0.5]", "prompt.edit_parts"),
        ("[a|b:0.5]", "prompt.edit_mixed"),
        ("[x [a:b:half]:2]", "prompt.edit_when"),
    ],
)
def test_what_looks_like_editing_and_is_not_is_named(text: str, code: str) -> None:
    (fault,) = Editing(f"fox {text} snow").faults
    assert fault.code == code
    assert fault.value in text


def test_a_long_form_is_named_by_its_beginning() -> None:
    (fault,) = Editing(f"[{'a' * 500}:b:half]").faults
    assert fault.value == f"[{'a' * 59}…"


@given(st.text("ab[]()|:\\ 01.5", max_size=40), st.integers(1, 12), st.none() | st.integers(1, 9))
def test_any_text_has_a_schedule(text: str, steps: int, before: int | None) -> None:
    found = at(text, steps, before)
    firsts = [first for first, _ in found]
    assert firsts[0] == 0
    assert firsts == sorted(set(firsts))
    assert all(first < max(2, steps) for first in firsts)
    for _, each in found:
        emphasis.parse(each)


@given(st.text("ab[]():\\ ", max_size=40))
def test_without_numbers_or_bars_every_text_stays_as_it_is(text: str) -> None:
    assert at(text) == ((0, text),)


def test_nothing_nests_too_deep() -> None:
    depth = 900
    text = "[" * depth + "a" + ":2]" * depth
    assert at(text, 5) == ((0, ""), (3, "a"))


def test_two_schedules_make_one() -> None:
    assert turns(((0, "a"), (3, "b")), ((0, "x"), (2, "y"))) == (
        Turn(0, "a", "x"),
        Turn(2, "a", "y"),
        Turn(3, "b", "y"),
    )


HANDS = EmbeddingEntry(key="hands", name="Hands", path="hands.safetensors")
CATALOG = Catalog(
    {"base": ModelEntry(key="base", name="Base", path="a/b", default_negative="[fog|low quality]")},
    {"ink": AdapterEntry(key="ink", name="Ink", path="a/b", trigger_words=("ink wash",))},
    "base",
    embeddings=Embeddings({"hands": HANDS}),
)


def composed(prompt: str, negative: str = "fog", **fields: Any) -> GenerationRequest:
    fields = {"steps": 10, "scheduler": "Euler", **fields}
    return compose(Draft(prompt=prompt, negative=negative, **fields), CATALOG, nsfw=False)


def refused(prompt: str, negative: str = "fog") -> tuple[str, dict[str, Any]]:
    with pytest.raises(InvalidRequest) as error:
        composed(prompt, negative)
    return error.value.code, dict(error.value.params)


@pytest.mark.parametrize(
    ("prompt", "negative", "edits"),
    [
        ("[fox:2]", "fog", True),
        ("fox", "[fog|mist]", True),
        ("[fox]", "[fog]", False),
        ("a fox: [Re:Zero]", "(fog:1.2)", False),
    ],
)
def test_a_new_request_says_whether_it_edits(prompt: str, negative: str, edits: bool) -> None:
    request = composed(prompt, negative)
    assert request.edits is edits
    assert ("edits" in request.to_dict()) is edits
    assert GenerationRequest.from_dict(request.to_dict()) == request
    assert (request.prompt, request.negative) == (prompt, negative)


def test_a_models_own_negative_prompt_may_edit() -> None:
    request = compose(Draft(prompt="fox", steps=10), CATALOG, nsfw=False)
    assert request.painted_texts == (("fox",), ("fog", "low quality"))


def test_a_request_of_an_earlier_version_is_one_text() -> None:
    request = replace(composed("[fox:cat:0.5]", "[fog:2]"), edits=False)
    assert request.turns == ((Turn(0, "[fox:cat:0.5]", "[fog:2]"),),)


def test_trigger_words_follow_every_text() -> None:
    request = composed("[a (fox:2]", lora="ink")
    assert request.turns == ((Turn(0, "[a (fox:2],) ink wash", "fog"),),)
    request = composed("a [fox:2] [cat", lora="ink")
    assert request.painted_texts[0] == ("a  [cat,] ink wash", "a fox [cat,] ink wash")


def test_both_passes_are_edited() -> None:
    request = composed("[fox:cat:1.5]", "[fog:2]", hires=1.5, hires_steps=8, hires_strength=0.5)
    assert request.turns == (
        (Turn(0, "fox", ""), Turn(3, "fox", "fog")),
        (Turn(0, "fox", "fog"), Turn(5, "cat", "fog")),
    )


def test_faults_are_refused_with_their_field() -> None:
    expected = {"field": "prompt", "value": "[fox:cat:half]"}
    assert refused("a [fox:cat:half]") == ("prompt.edit_when", expected)
    expected = {"field": "negative", "value": "[a|b:2]"}
    assert refused("fox", "x [a|b:2]") == ("prompt.edit_mixed", expected)


def test_too_many_texts_are_refused() -> None:
    many = "[a|b|c|d|e|f] [a|b|c|d|e|f|g]"
    request = composed(many, steps=TEXTS_MAX + 1)
    assert len(request.painted_texts[0]) == TEXTS_MAX
    with pytest.raises(InvalidRequest) as error:
        composed(many, steps=TEXTS_MAX + 2)
    assert error.value.code == "prompt.edit_texts"
    assert error.value.params == {"field": "prompt", "value": TEXTS_MAX + 1, "max": TEXTS_MAX}


def test_weights_and_breaks_are_checked_in_each_text() -> None:
    code, params = refused("[fox:((cat:9):5):2]")
    assert (code, params["value"]) == ("prompt.weight", 45)
    code, _ = refused("fox", f"[fog:a{' BREAK a' * 32}:2]")
    assert code == "prompt.breaks"
    assert composed(f"[a{' BREAK a' * 20}:b{' BREAK b' * 20}:2]").edits


@pytest.mark.parametrize("prompt", ["[embedding:hands:2]", "[fox:hands:2]", "[fox|(hands:1.2)]"])
def test_embeddings_are_found_in_each_text(prompt: str) -> None:
    assert composed(prompt).embedding_keys == ("hands",)


def test_a_family_without_brackets_has_words() -> None:
    base = CATALOG.models["base"]
    entry = base.model_copy(update={"family": replace(base.family, takes_emphasis=False)})
    draft = Draft(prompt="[fox:cat:half] [fox|cat]", scheduler="Euler")
    request = compose(draft, Catalog({"base": entry}, {}, "base"), nsfw=False)
    assert not request.edits
    assert request.painted_texts[0] == (request.prompt,)
