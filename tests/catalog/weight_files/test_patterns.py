"""Patterns of peft for the paths of modules: which one counts, and which are refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.weight_files.patterns import ElaboratePattern, Patterns

PATHS = ("down.0.attn1.to_q", "down.0.attn1.to_k", "up.10.attn2.to_q", "conv_in", "a.conv_in")


def by_peft(table: dict[str, float], path: str) -> float | None:
    """peft.utils.other.get_pattern_key"""
    for pattern, value in table.items():
        if re.match(rf"(.*\.)?({pattern})$", path):
            return value
    return None


TABLES: list[dict[str, float]] = [
    {"to_q": 1, "attn1.to_q": 2},
    {"attn1.to_q": 2, "to_q": 1},
    {"^conv_in": 3, "conv_in": 4},
    {"conv_in$": 4, "^a.conv_in$": 3},
    {"o_q": 1, "n1.to_q": 2, "conv": 3},
    {"to_[qk]": 5, "to_q": 6},
    {"to_q": 6, "to_[qk]": 5},
    {r"down\.0\.attn1\.to_q": 1, r"up\.\d+\.attn2\.to_q": 2},
    {"down.*to_k": 7, "up.*": 8, ".*": 9},
    {"to_q|to_k": 1, "(a.)?conv_in": 2},
    {"^down": 1, "^": 2},
    {r"up\.\d{2}\.attn[12]\.to_.": 3},
]


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_the_first_that_matches_counts_as_in_peft(table: dict[str, float]) -> None:
    found = Patterns.of(table)
    for path in PATHS:
        assert found.find([path]) == by_peft(table, path), path


def test_the_first_that_matches_any_name_of_a_module_counts() -> None:
    found = Patterns.of({"^b": 1, "^a": 2})
    assert found.find(["a", "b"]) == 1
    assert found.find(["a"]) == 2
    assert found.find([]) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|a)*b", "(.*)*", "a**", ".*.*.*x", "(?=a)b", r"(a)\1", "a{1,9}{1,9}{1,9}",
        "[", "(", "a" * 201, "a?" * 9, "|".join("abcdefghij"), "(a{1,99}){1,99}",
    ],
)  # fmt: skip
def test_what_may_take_minutes_or_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ElaboratePattern):
        Patterns.of({pattern: 1.0})


def test_only_a_few_expressions_are_matched_against_every_module() -> None:
    with pytest.raises(ElaboratePattern):
        Patterns.of({f"x{n}.*": float(n) for n in range(9)})
    many = Patterns.of({f"x.{n}": float(n) for n in range(5000)})
    assert many.find(["x.4711"]) == 4711.0


def test_a_path_of_any_length_is_not_searched() -> None:
    assert Patterns.of({".*a.*b": 1.0}).find(["a" * 10**6]) is None


@given(
    st.dictionaries(st.text("^$.*to_q[]()|\\a1+?{}-", max_size=12), st.just(1.0), max_size=3),
    st.text("to_q.a1", max_size=20),
)
def test_a_pattern_is_matched_as_by_peft_or_refused(table: dict[str, float], path: str) -> None:
    try:
        found = Patterns.of(table)
    except ElaboratePattern:
        return
    plain = {p: v for p, v in table.items() if re.fullmatch(r"[\w.]*", p)}
    if plain == table and "." not in "".join(table):
        assert found.find([path]) == by_peft(table, path)
