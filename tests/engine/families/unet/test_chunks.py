"""Splitting tokens into chunks; needs no torch."""

from hypothesis import given
from hypothesis import strategies as st

from bot.engine.families.unet.chunks import BACKTRACK, ROOM, VECTOR, Token, split

COMMA = 0


def tokens(ids: list[int]) -> list[Token]:
    return [Token(each, 1.0 + each / 10) for each in ids]


def lengths(*parts: list[int]) -> list[int]:
    return [len(chunk) for chunk in split([tokens(part) for part in parts], COMMA)]


def with_commas(length: int, *places: int) -> list[int]:
    return [COMMA if place in places else 1 for place in range(length)]


def test_nothing_is_one_empty_chunk() -> None:
    assert split([], COMMA) == ((),)
    assert split([[], []], COMMA) == ((),)


def test_a_chunk_holds_75_tokens() -> None:
    assert lengths([1] * 75) == [75]
    assert lengths([1] * 76) == [75, 1]
    assert lengths([1] * 151) == [75, 75, 1]


def test_a_break_ends_a_chunk() -> None:
    assert lengths([1], [1] * 80, [1]) == [1, 75, 5, 1]
    assert lengths([], [1]) == [0, 1]
    assert lengths([1], [], [1]) == [1, 0, 1]
    assert lengths([1], [], []) == [1]


def test_a_comma_among_the_last_20_is_where_it_is_cut() -> None:
    assert lengths(with_commas(80, 55)) == [56, 24]
    assert lengths(with_commas(80, 54)) == [75, 5]
    assert lengths(with_commas(80, 56, 60, 70)) == [71, 9]
    assert lengths(with_commas(80, 74)) == [75, 5]
    assert lengths(with_commas(200, 60, 130)) == [61, 70, 69]


def test_words_that_end_where_the_chunk_ends_stay() -> None:
    assert lengths(with_commas(80, 60, 75)) == [75, 5]
    assert lengths(with_commas(75, 60)) == [75]


@given(st.lists(st.lists(st.integers(0, 3), max_size=400), max_size=4))
def test_nothing_is_lost_or_moved(parts: list[list[int]]) -> None:
    chunks = split([tokens(part) for part in parts], COMMA)
    assert [token for chunk in chunks for token in chunk] == tokens([i for p in parts for i in p])
    assert all(len(chunk) <= ROOM for chunk in chunks)
    needed = sum(-(-len(part) // ROOM) for part in parts)
    at_most = sum(len(part) // (ROOM - BACKTRACK) + 1 for part in parts) + 1
    assert max(needed, 1) <= len(chunks) <= at_most


def embedding(number: int, rows: int) -> list[Token]:
    return [Token(VECTOR, 1.0, number, row) for row in range(rows)]


def test_an_embedding_moves_to_the_next_chunk_as_a_whole() -> None:
    before, learned = tokens([1] * 70), embedding(0, 8)
    assert split([[*before, *learned]], COMMA) == (tuple(before), tuple(learned))
    fits = [*before[:67], *learned, Token(1)]
    assert [len(chunk) for chunk in split([fits], COMMA)] == [75, 1]


def test_two_in_a_row_are_told_apart() -> None:
    one, two = embedding(0, 40), embedding(1, 40)
    assert split([[*one, *two]], COMMA) == (tuple(one), tuple(two))


@given(st.lists(st.integers(1, ROOM), max_size=8), st.integers(0, 80))
def test_no_embedding_is_ever_divided(sizes: list[int], before: int) -> None:
    learned = [embedding(number, rows) for number, rows in enumerate(sizes)]
    part = [*tokens([1] * before), *(token for each in learned for token in each)]
    chunks = split([part], COMMA)
    assert [token for chunk in chunks for token in chunk] == part
    assert all(len(chunk) <= ROOM for chunk in chunks)
    assert all(not chunk or chunk[0].row == 0 for chunk in chunks)
