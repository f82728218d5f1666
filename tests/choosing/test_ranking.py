"""What is offered first: what is loaded, what its person prefers, what they used last."""

from hypothesis import given
from hypothesis import strategies as st

from bot.choosing import Used, ranked
from bot.choosing.ranking import RANKED_MAX
from catalog.search import Index

KEYS = [f"{word}-{n}" for n in range(6) for word in ("ink", "pink", "oil")]
USED = st.builds(
    Used, st.sampled_from(KEYS), st.integers(min_value=1, max_value=9), st.integers(0, 99)
)
USES = st.lists(USED, max_size=20, unique_by=lambda use: use.key)
INDEX = Index((key, key.title()) for key in KEYS)


def test_loaded_then_often_then_recent() -> None:
    used = [Used("old", 9, 1), Used("once", 1, 8), Used("last", 1, 9), Used("often", 3, 2)]
    assert ranked({"here"}, used) == ("here", "old", "often", "last", "once")


def test_what_is_loaded_is_named_once() -> None:
    assert ranked(["a"], [Used("a", 5, 5), Used("b", 1, 1)]) == ("a", "b")


def test_only_so_many_have_a_place() -> None:
    assert len(ranked([], [Used(f"k{n}", 1, n) for n in range(300)])) == RANKED_MAX


@given(st.sets(st.sampled_from(KEYS), max_size=2), USES)
def test_each_key_is_ranked_once_and_loaded_ones_first(loaded: set[str], uses: list[Used]) -> None:
    order = ranked(loaded, uses)
    assert len(order) == len({*order})
    assert {*order} == loaded | {use.key for use in uses}
    assert {*order[: len(loaded)]} == loaded


@given(st.sampled_from(["", "in", "ink", "ink-3", "oil", "o", "pnk", "nothing"]), USES)
def test_the_order_is_a_permutation_of_the_matches(text: str, uses: list[Used]) -> None:
    first = [KEYS.index(key) for key in ranked([], uses)]
    plain = INDEX.search(text, lambda _: True, len(KEYS))
    found = INDEX.search(text, lambda _: True, len(KEYS), first)
    assert sorted(found) == sorted(plain)
    # Those without a place stay in the order that they had.
    assert [n for n in found if n not in first] == [n for n in plain if n not in first]


@given(USES)
def test_the_match_decides_before_the_place(uses: list[Used]) -> None:
    found = [KEYS[n] for n in INDEX.search("ink", lambda _: True, 99, ranks(uses))]
    assert found == sorted(found, key=lambda key: not key.startswith("ink"))


def ranks(uses: list[Used]) -> list[int]:
    return [KEYS.index(key) for key in ranked([], uses)]
