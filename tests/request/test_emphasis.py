"""The prompt syntax, against the rules that AUTOMATIC1111's web UI documents."""

import math
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.request.emphasis import Span, join, parse, plain

Said: TypeAlias = list[tuple[str, float]]

SYNTAX = st.lists(
    st.sampled_from(
        [*"()[]\\:,. ", ":1.2)", ":-3)", ":nan)", ":1e9)", ":.)", " BREAK ", "BREAK", "fox", "1.5"]
    )
    | st.text(max_size=3)
).map("".join)
"""Any text, with many characters that have a meaning."""


def said(text: str) -> Said:
    return [(span.text, span.weight) for span in parse(text)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        # The examples from its wiki and its parser's own documentation.
        ("normal text", [("normal text", 1.0)]),
        ("a (word)", [("a ", 1.0), ("word", 1.1)]),
        ("a ((word))", [("a ", 1.0), ("word", 1.21)]),
        ("a [word]", [("a ", 1.0), ("word", 1 / 1.1)]),
        ("a (word:1.5)", [("a ", 1.0), ("word", 1.5)]),
        ("a (word:0.25)", [("a ", 1.0), ("word", 0.25)]),
        (r"a \(word\)", [("a (word)", 1.0)]),
        (r"anime_\(character\)", [("anime_(character)", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        ('a (((farm))), "daytime"', [("a ", 1.0), ("farm", 1.331), (', "daytime"', 1.0)]),
    ],
)
def test_the_documented_examples(text: str, spans: Said) -> None:
    read = said(text)
    assert [words for words, _ in read] == [words for words, _ in spans]
    assert [weight for _, weight in read] == pytest.approx([weight for _, weight in spans])


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", []),
        ("()", []),
        ("(:1.2)", []),
        ("a()[](:2)b", [("ab", 1.0)]),
        ("(a:1.0)", [("a", 1.0)]),
        ("a (b:1.0) c", [("a b c", 1.0)]),
        ("(a:-1)(b:+2)(c:.5)(d:2.)", [("a", -1.0), ("b", 2.0), ("c", 0.5), ("d", 2.0)]),
        ("(a : 1.5 )", [("a ", 1.5)]),
        ("(a:b:1.5)", [("a:b", 1.5)]),
        ("(a:0)", [("a", 0.0)]),
        ("[a", [("a", 1 / 1.1)]),
        ("a (b [c", [("a ", 1.0), ("b ", 1.1), ("c", 1.0)]),
        (f"((a:{'9' * 400}):0)", [("a", 0.0)]),
        # What is not a number is text.
        ("(a:nan)", [("a:nan", 1.1)]),
        ("(a:1e9)", [("a:1e9", 1.1)]),
        ("(a:1,2)", [("a:1,2", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:.)", [("a:.", 1.1)]),
        ("(a:)", [("a:", 1.1)]),
        ("(a:1.2", [("a:1.2", 1.1)]),
        ("[a:1.2]", [("a:1.2", 1 / 1.1)]),
        ("a:1.2)", [("a:1.2)", 1.0)]),
        # Faces.
        (":) :-] ;) ^_^ :D", [(":) :-] ;) ^_^ :D", 1.0)]),
        ("(smile :))", [("smile :", 1.1), (")", 1.0)]),
        (r"(smile :\))", [("smile :)", 1.1)]),
        (":( sad", [(":", 1.0), (" sad", 1.1)]),
        # Backslashes.
        (r"a\b", [("ab", 1.0)]),
        (r"a\\b", [("a\\b", 1.0)]),
        ("a\\", [("a", 1.0)]),
        (r"\\(a)", [("\\", 1.0), ("a", 1.1)]),
        # Each kind of bracket closes the last open one of its kind.
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
    ],
)
def test_the_edges(text: str, spans: Said) -> None:
    assert said(text) == spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a BREAK b", [Span("a", 1.0, 0), Span("b", 1.0, 1)]),
        ("a\nBREAK\nb", [Span("a", 1.0, 0), Span("b", 1.0, 1)]),
        ("a BREAK BREAK b", [Span("a", 1.0, 0), Span("b", 1.0, 2)]),
        ("BREAK a BREAK", [Span("a", 1.0, 1)]),
        ("(a BREAK b:1.5)", [Span("a", 1.5, 0), Span("b", 1.5, 1)]),
        ("(a)BREAK,b", [Span("a", 1.1, 0), Span(",b", 1.0, 1)]),
        ("BREAKS OUTBREAK break BREAK_1", [Span("BREAKS OUTBREAK break BREAK_1", 1.0, 0)]),
    ],
)
def test_break_starts_a_new_part(text: str, spans: list[Span]) -> None:
    assert list(parse(text)) == spans


def written(tree: st.SearchStrategy[tuple[str, Said]]) -> st.SearchStrategy[tuple[str, Said]]:
    """Texts and what they mean, built from the inside out."""
    inner = st.lists(tree, max_size=3)
    weights = st.sampled_from([("", 1.1), (":1.3", 1.3), (":-2", -2.0), (":0.5", 0.5)])

    def bracketed(pair: tuple[list[tuple[str, Said]], tuple[str, float]]) -> tuple[str, Said]:
        parts, (number, weight) = pair
        text = "".join(text for text, _ in parts)
        means = [(word, w * weight) for _, spans in parts for word, w in spans]
        return f"({text}{number})", means

    def squared(parts: list[tuple[str, Said]]) -> tuple[str, Said]:
        text = "".join(text for text, _ in parts)
        return f"[{text}]", [(word, w * (1 / 1.1)) for _, spans in parts for word, w in spans]

    return st.tuples(inner, weights).map(bracketed) | inner.map(squared)


LEAVES = st.sampled_from(["fox ", "a, ", "x:y", "ü"]).map(lambda word: (word, [(word, 1.0)])) | (
    st.sampled_from("()[]\\").map(lambda char: (f"\\{char}", [(char, 1.0)]))
)
TREES = st.lists(st.recursive(LEAVES, written, max_leaves=12), max_size=4)


def letters(spans: tuple[Span, ...], shift: int = 0) -> list[tuple[str, float, int]]:
    return [(c, s.weight, s.part + shift) for s in spans for c in s.text if not c.isspace()]


@given(TREES)
def test_whatever_is_nested_is_read_as_it_was_meant(trees: list[tuple[str, Said]]) -> None:
    read = [(c, span.weight) for span in parse("".join(t for t, _ in trees)) for c in span.text]
    meant = [(c, weight) for _, spans in trees for words, weight in spans for c in words]
    assert [c for c, _ in read] == [c for c, _ in meant]
    assert [w for _, w in read] == pytest.approx([w for _, w in meant])


@given(SYNTAX)
@example("(" * 2000)
@example("(a" * 600 + ":999999999)" * 300 + ":0)" * 300)
@example("(a:" + "9" * 1990 + ")")
def test_no_text_breaks_it(text: str) -> None:
    spans = parse(text)
    assert all(span.text and math.isfinite(span.weight) for span in spans)
    assert [span.part for span in spans] == sorted(span.part for span in spans)
    assert all((a.weight, a.part) != (b.weight, b.part) for a, b in pairwise(spans))
    rest = iter(text)
    assert all(char in rest for span in spans for char in span.text), "something was made up"


@pytest.mark.long
@pytest.mark.parametrize(
    "piece", ["(a", "[a", "(:", "a)", "(a:1.1)", "((a))", " ", ": ", ":1 ", "\\", " BREAK "]
)
def test_no_text_makes_it_slow(piece: str) -> None:
    """Each character is read a bounded number of times; otherwise this would never end."""
    parse(piece * (200_000 // len(piece)))
    join([piece * (200_000 // len(piece)), "a"])


@given(st.text(st.characters(exclude_characters="()[]\\")))
def test_text_without_syntax_stays_as_it_is(text: str) -> None:
    expected = () if not text else (Span(text, 1.0),)
    assert "BREAK" in text or parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(anime (style:1.2)), [fox]", "anime style, fox"),
        (r"c++ \(pixel\)", "c++ (pixel)"),
        ("anime BREAK style", "anime\nstyle"),
        ("", ""),
    ],
)
def test_the_plain_words(text: str, words: str) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    ("prompts", "joined"),
    [
        (["fox"], "fox"),
        (["(fox:1.2)", "ink", "wash"], "(fox:1.2), ink, wash"),
        (["(fox", "ink"], "(fox,) ink"),
        (["((a [b", "(ink", "wash"], "((a [b,))] (ink,) wash"),
        (["(fox:1.2", "ink"], "(fox:1.2,) ink"),
        (["(fox\\", "ink"], "(fox\\,) ink"),
        ([r"\(fox", "ink"], r"\(fox, ink"),
    ],
)
def test_joined_prompts(prompts: list[str], joined: str) -> None:
    assert join(prompts) == joined


@given(SYNTAX, SYNTAX)
@example("(a:1.2", "b")
def test_joined_prompts_leave_each_other_alone(one: str, other: str) -> None:
    before = parse(f"{one},")  # the comma belongs to the last span, so its part is the last one
    together = letters(before) + letters(parse(other), before[-1].part)
    assert letters(parse(join([one, other]))) == together
