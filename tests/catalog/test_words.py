"""Names that stand in a text as whole words."""

import re

from hypothesis import given
from hypothesis import strategies as st

from catalog import Words


def found(text: str, *names: str) -> list[str]:
    """What is found, as it stands in `text`; each name means itself."""
    return [text[hit.start : hit.end] for hit in Words((n, n) for n in names).find(text)]


def test_whole_words_are_found_in_any_case() -> None:
    assert found("A Fox, a foxhole, outfox, fox_1, fox.", "fox") == ["Fox", "fox"]


def test_names_may_have_spaces_and_punctuation() -> None:
    text = "bad-hands-5, bad-hands-50, My Negative (v2), <tok><tok>x"
    assert found(text, "bad-hands-5", "my negative (v2)", "<tok>") == [
        "bad-hands-5",
        "My Negative (v2)",
        "<tok>",
        "<tok>",
    ]


def test_the_longest_counts_and_none_overlap() -> None:
    assert found("bad hands five", "bad", "bad hands", "hands five") == ["bad hands"]
    assert found("bad hand five", "bad", "bad hands", "hand five") == ["bad", "hand five"]


def test_of_two_equal_names_the_first_counts() -> None:
    (hit,) = Words([("Fox", 1), ("fox", 2)]).find("fox")
    assert hit.meaning == 1


def test_a_name_that_does_not_count_leaves_room_for_a_shorter_one() -> None:
    words = Words([("fox", 1), ("fox cub", 2)])
    assert [hit.meaning for hit in words.find("fox cub", lambda meaning: meaning == 1)] == [1]
    assert words.at("fox cub", 0, lambda meaning: meaning == 3) is None


def test_without_names_nothing_is_found() -> None:
    assert not Words()
    assert found("fox") == []
    assert not Words([("", 1), ("  ", 2)])


def test_a_name_at_a_given_place() -> None:
    words = Words([("fox cub", 1)])
    hit = words.at("a fox cub", 2)
    assert hit is not None
    assert (hit.start, hit.end) == (2, 9)
    assert words.at("a fox cub", 0) is None
    assert words.at("a fox cub", 9) is None


@given(st.text("ab -", max_size=30), st.lists(st.text("ab-", min_size=1, max_size=4)))
def test_it_finds_what_an_alternation_finds(text: str, names: list[str]) -> None:
    longest_first = sorted({*names}, key=lambda name: (-len(name), name))
    words = "|".join(
        ("" if name[0] == "-" else r"(?<!\w)")
        + re.escape(name)
        + ("" if name[-1] == "-" else r"(?!\w)")
        for name in longest_first
    )
    expected = re.findall(words, text) if names else []
    assert found(text, *names) == expected


def test_ten_thousand_names_that_begin_alike_are_looked_up_not_tried() -> None:
    words = Words((f"style {n}", n) for n in range(10_000))
    by_length = words._by_piece["style"]
    assert len(by_length) == 4
    assert [hit.meaning for hit in words.find("style 9999, style 7")] == [9999, 7]
