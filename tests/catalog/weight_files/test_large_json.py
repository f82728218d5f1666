"""A large header means the same as a small one, and no call gets more than a piece of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from catalog.weight_files import header as header_module
from catalog.weight_files import large_json, read_header
from catalog.weight_files.header import TENSOR_LIMIT, WHOLE_MAX
from catalog.weight_files.large_json import PIECE, Repeated, TooMany, parse_large
from catalog.weight_files.training import COMMAS_MAX, JSON_MAX, frequent_tags
from tests.catalog.weight_files.test_header import SCALAR, why, written
from tests.parameters import mostly_long

TEXT = st.text(max_size=20) | st.text(alphabet='\\"ud83😀é{}[],: ', max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(TEXT, VALUES, max_size=6),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.binary(),
)
def test_it_reads_what_json_reads(
    table: dict[str, Any], ascii_only: bool, indent: int | None, noise: bytes
) -> None:
    raw = json.dumps(table, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse_large(b" \n" + raw + b"  ", 100) == table
    for broken in (raw[:-1], raw + b"}", raw[:1] + noise + raw[1:], noise):
        try:
            wanted = from_json(broken)
        except ValueError:
            with pytest.raises(ValueError):  # noqa: PT011
                parse_large(broken, 100)
        else:
            if isinstance(wanted, dict):
                assert parse_large(broken, 100) == wanted


@pytest.mark.parametrize("offset", mostly_long([3, 6, 7, *range(3), 4, 5, *range(8, 14)], usual=3))
@pytest.mark.parametrize("unit", ["😀", "é", '"', "\\", "\\ud83d", "x\n", "\ud83d\ude00"])
def test_a_text_is_cut_between_its_characters(unit: str, offset: int) -> None:
    unit = unit.encode("utf-16", "surrogatepass").decode("utf-16")
    text = "a" * offset + unit * (3 * PIECE // len(unit.encode()))
    table = {"__metadata__": {"note": text, "b": "c"}, "last": text}
    for ascii_only in (True, False):
        raw = json.dumps(table, ensure_ascii=ascii_only).encode()
        assert parse_large(raw, 100) == table


def test_no_call_gets_more_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser holds the interpreter's lock for as long as a call takes."""
    given: list[int] = []

    def counted(raw: bytes) -> Any:
        given.append(len(raw))
        return from_json(raw)

    for module in (large_json, header_module):
        monkeypatch.setattr(module, "from_json", counted)
    tags = json.dumps({"folder": {f"a tag, the {n}th é": n for n in range(100_000)}})
    table = {"__metadata__": {"ss_tag_frequency": tags}, "a": SCALAR}
    assert read_header(written(tmp_path, table)).metadata == {"ss_tag_frequency": tags}
    assert max(given) <= PIECE + 2
    assert sum(given) > WHOLE_MAX


def padded(*members: str) -> bytes:
    """A header of these members that is too large for one call."""
    note = json.dumps("x" * WHOLE_MAX)
    return ("{" + ", ".join([*members, f'"__metadata__": {{"note": {note}}}']) + "}").encode()


TENSOR = '"t": ' + json.dumps(SCALAR)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (f"{{{TENSOR}, {TENSOR}}}".encode(), "its header names 't' twice"),
        (padded(TENSOR, TENSOR), "its header names 't' twice"),
        (padded(TENSOR, '"\\u0074": 1'), "its header names 't' twice"),
        (padded(TENSOR, '"__metadata__": {}'), "its header names '__metadata__' twice"),
        (padded(TENSOR, '"a": [' + "1," * PIECE + "1]"), "its header is not JSON"),
        (padded(TENSOR, '"a": ' + "[" * 5_000 + "]" * 5_000), "its header is not JSON"),
        (padded(TENSOR, '"a": ' + "9" * 5_000), "its header is not JSON"),
        (padded(TENSOR, '"\\ud800": 1'), "its header is not JSON"),
        (
            padded(TENSOR, '"\udc80": 1'.encode("utf-8", "surrogatepass").decode("latin-1")),
            "format",
        ),
        (padded(TENSOR, '"a": NaN'), "a tensor entry does not follow the format"),
        (padded(TENSOR.replace("[1]", "[NaN]")), "is not a non-negative integer"),
        (padded(TENSOR.replace("[0, 4]", "[0, Infinity]")), "is not a non-negative integer"),
        (padded(TENSOR) + b"x", "its header is not JSON"),
        (padded(TENSOR)[:-2], "its header is not JSON"),
        (b"[" + b" " * WHOLE_MAX + b"]", "its header is not JSON"),
        (b" " * 2 * WHOLE_MAX, "its header is not JSON"),
    ],
    ids=range(16),
)
def test_a_large_header_is_refused_for_the_same_reasons(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    assert said in why(written(tmp_path, raw))


def test_whitespace_around_a_header_is_no_matter(tmp_path: Path) -> None:
    raw = json.dumps({"a": SCALAR}).encode() + b" " * 2 * WHOLE_MAX
    assert list(read_header(written(tmp_path, raw)).shapes) == ["a"]


@pytest.mark.parametrize("field", mostly_long(["data_offsets", "\\u0064ata_offsets"], usual=1))
def test_tensors_are_counted_however_they_are_written(tmp_path: Path, field: str) -> None:
    entry = f'{{"dtype": "F32", "shape": [0], "{field}": [0, 0]}}'
    names = [f'"t{n}": {entry}' for n in range(TENSOR_LIMIT + 1)]
    raw = "{" + ",".join(names[:-1]) + "}"
    assert len(read_header(written(tmp_path, raw.encode())).shapes) == TENSOR_LIMIT
    said = why(written(tmp_path, ("{" + ",".join(names) + "}").encode()))
    assert "it claims" in said
    assert str(TENSOR_LIMIT) in said


def test_endless_members_of_the_metadata_are_not_read() -> None:
    notes = ",".join(f'"{n}": "x"' for n in range(100_000))
    with pytest.raises(TooMany):
        parse_large(f'{{"__metadata__": {{{notes}}}}}'.encode(), TENSOR_LIMIT)


def test_a_tag_named_like_a_field_is_not_a_tensor(tmp_path: Path) -> None:
    table = {"__metadata__": {"data_offsets": "x", "note": '"data_offsets"'}, "a": SCALAR}
    assert list(read_header(written(tmp_path, table)).shapes) == ["a"]


def test_the_name_that_occurs_twice_is_told() -> None:
    with pytest.raises(Repeated, match="t"):
        parse_large(f"{{{TENSOR}, {TENSOR}}}".encode(), 9)


def test_tags_of_endless_values_are_not_parsed() -> None:
    folder = {"1_a": {"tree": 3}}
    assert frequent_tags({"ss_tag_frequency": json.dumps(folder)}) == ("tree",)
    bomb = json.dumps({**folder, "b": [[]] * (COMMAS_MAX + 9)})
    assert len(bomb) < JSON_MAX
    assert frequent_tags({"ss_tag_frequency": bomb}) == ()
