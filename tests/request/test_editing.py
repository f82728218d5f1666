"""Prompt editing: from which step on a prompt is which text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request import emphasis
from bot.request.editing import Editing, Turn, turns

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
