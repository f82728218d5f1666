"""Any text is either understood, and then whole, or refused by name."""

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import emphasis
from bot.request.dynamic import Place, draw, escaped, is_dynamic, parse
from bot.request.dynamic.chance import Chance
from bot.request.dynamic.grammar import DEPTH_MAX, PICKS_MAX, Choice, Literal, Wildcard
from catalog import Wildcards

NOWHERE = Place(Wildcards(), nsfw=False)
SYNTAX = st.lists(
    st.sampled_from(
        [*"{}|$:-_\\. ~@a1,", "{2$$", "{1-2$$", "::", "__", "__a__", "${", "\\{", "\\__", "\n", "é"]
    ),
    max_size=40,
).map("".join)
TEXTS = st.one_of(SYNTAX, st.text(max_size=40))


def said(text: str) -> str:
    return draw(parse(text), Chance(0, "prompt"), NOWHERE)


def code_of(text: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse(text)
    return caught.value.code


@given(TEXTS)
@example("{a|{b|c}} __d__ \\{ {2$$ and $$x|3::y}")
def test_a_text_is_refused_by_name_or_read_whole(text: str) -> None:
    with suppress(InvalidRequest):
        assert "".join(part.source for part in parse(text)) == text


@given(TEXTS)
@example("\\$$")
def test_without_braces_and_wildcards_a_text_stays_as_it_is(text: str) -> None:
    plain = re.sub("_+", "_", re.sub("[{}]", "", text))
    assert said(plain) == plain
    assert not is_dynamic(parse(plain))


@given(TEXTS)
@example("\\{a|b\\}")
@example("\\\\{")
@example("$ {x} __y__ \\")
def test_any_text_can_be_typed(text: str) -> None:
    typed = escaped(text)
    assert emphasis.parse(said(typed)) == emphasis.parse(text)
    if "\\" not in text:
        assert said(typed) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{masterpiece}", "single"),
        ("{{masterpiece}}", "single"),
        ("{}", "single"),
        ("{ }", "single"),
        ("{2$$a}", "single"),
        ("{a __b__}", "single"),
        ("a {red|green", "open"),
        ("{a|{b|c}", "open"),
        (":}", "closed"),
        ("{a|b}}", "closed"),
        ("${x={a|b}}", "variable"),
        ("{${x}|a}", "variable"),
        ("{@a|b}", "sampler"),
        ("{~a|b}", "sampler"),
        ("{two$$a|b}", "bounds"),
        ("{3-2$$a|b|c}", "bounds"),
        ("{3$$a|b}", "few"),
        ("{1-3$$a|b}", "few"),
        ("{0::a|0::b}", "few"),
        ("{2$$0::a|b}", "few"),
        (f"{{{PICKS_MAX + 1}$$__a__}}", "picks"),
        ("{-1::a|b}", "weight"),
        ("{a|1.2.3::b}", "weight"),
        ("{1000001::a|b}", "weight"),
        ("{a|" * (DEPTH_MAX + 1) + "b" + "}" * (DEPTH_MAX + 1), "deep"),
    ],
)
def test_what_is_no_form_is_refused(text: str, code: str) -> None:
    assert code_of(text) == f"dynamic.{code}"


def test_it_nests_as_deep_as_it_says() -> None:
    assert parse("{a|" * DEPTH_MAX + "b" + "}" * DEPTH_MAX)


@pytest.mark.parametrize(
    ("text", "low", "high", "separator", "count"),
    [
        ("{a|b}", 1, 1, ", ", 2),
        ("{2$$a|b|c}", 2, 2, ", ", 3),
        ("{ 1 - 2 $$a|b|c}", 1, 2, ", ", 3),
        ("{-2$$a|b|c}", 1, 2, ", ", 3),
        ("{0-$$a|b|c}", 0, None, ", ", 3),
        ("{2$$ and $$a|b|c}", 2, 2, " and ", 3),
        ("{2$$$$a|b|c}", 2, 2, "", 3),
        ("{2$$__a__}", 2, 2, ", ", 1),
        ("{|a}", 1, 1, ", ", 2),
        ("{2020-2024|b}", 1, 1, ", ", 2),
    ],
)
def test_how_many_and_what_between(
    text: str, low: int, high: int | None, separator: str, count: int
) -> None:
    (choice,) = parse(text)
    assert isinstance(choice, Choice)
    found = (choice.low, choice.high, choice.separator, len(choice.options))
    assert found == (low, high, separator, count)


def test_weights_are_exact() -> None:
    (choice,) = parse("{3::a| .25 ::b|0.000001::c|d}")
    assert isinstance(choice, Choice)
    assert [option.weight for option in choice.options] == [3_000_000, 250_000, 1, 1_000_000]


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("__a__", ["a"]),
        ("__a____b__", ["a", "b"]),
        ("__sub/my list-2__s", ["sub/my list-2"]),
        ("__animals/*__", ["animals/*"]),
        ("__ a __", []),
        ("____", []),
        ("___a___", []),
        ("__a, b__", []),
        ("\\__a__", []),
        ("a\\_\\_b\\_\\_", []),
    ],
)
def test_what_a_wildcard_is(text: str, patterns: list[str]) -> None:
    parts = parse(text)
    found = [p.pattern for p in parts if isinstance(p, Wildcard) and not p.glued]
    assert found == patterns


def test_underscores_in_a_name_are_none() -> None:
    assert said("my__style__v2 and <lora:a__b__c:1>") == "my__style__v2 and <lora:a__b__c:1>"


def test_escapes_are_taken_off_and_others_are_left_to_emphasis() -> None:
    assert said(r"\{a\|b\} \__c__ \(d\) \\ $\{e\} {f\|g|f\|g}") == (
        r"{a\|b} __c__ \(d\) \\ ${e} f|g"
    )


def test_neighbouring_words_are_one_part() -> None:
    assert parse("a $ b_c \\{ d") == (Literal("a $ b_c { d", "a $ b_c \\{ d"),)
