"""A header is read if the file is a complete .safetensors file; otherwise the error says why."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.weight_files import HeaderError, NotSafetensors, UnreadableFile, read_header
from catalog.weight_files.header import HEADER_LIMIT, TENSOR_LIMIT

SCALAR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def written(folder: Path, header: object, data: bytes = bytes(8)) -> Path:
    """A file with `header`, as JSON or as raw bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = folder / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return file


def why(file: Path) -> str:
    with pytest.raises(NotSafetensors) as refusal:
        read_header(file)
    return str(refusal.value)


def test_names_shapes_types_and_places_are_told(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt", "odd": 3},
        "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
        "a": SCALAR,
        "empty": {"dtype": "F16", "shape": [0, 7], "data_offsets": [4, 4]},
        "single": {"dtype": "I64", "shape": [], "data_offsets": [16, 24]},
        "half bytes": {"dtype": "F4", "shape": [6], "data_offsets": [24, 27]},
    }
    file = written(tmp_path, header, bytes(27))
    found = read_header(file)
    assert list(found.shapes) == ["b", "a", "empty", "single", "half bytes"]
    assert found.shapes == {
        "b": (2, 3),
        "a": (1,),
        "empty": (0, 7),
        "single": (),
        "half bytes": (6,),
    }
    assert found.dtypes["b"] == "BF16"
    assert (found.starts["b"], found.sizes["b"]) == (4, 12)
    assert found.data_start == len(file.read_bytes()) - 27
    assert found.metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty or cut off: it has 0 bytes"),
        (bytes(8), "it is empty or cut off: it has 8 bytes"),
        (b"PK\x03\x04 a zip, as torch.save writes", "it is a PyTorch file or a ZIP archive"),
        (struct.pack("<Q", 1) + b"{}", "(2 to 100000000 bytes, got 1)"),
        (struct.pack("<Q", HEADER_LIMIT + 1) + b"{}", "(2 to 100000000 bytes, got 100000001)"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "not begin with a header length"),
        (struct.pack("<Q", 100) + b"{}", "its header is cut off: 100 bytes long, but only 2"),
        (struct.pack("<Q", ord("<")) + b"{}", "its header is cut off: 60 bytes long, but only 2"),
    ],
    ids=range(8),
)
def test_what_has_no_header_is_told_from_what_lacks_its_end(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    assert said in why(file)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"not json", "its header is not JSON"),
        (b"\xff\xff\xff", "its header is not JSON"),
        (b"[" * 100_000, "its header is not JSON"),
        ([1], "its header is not a JSON object"),
        ({}, "it contains no tensors"),
        ({"__metadata__": {"ss_output_name": "x"}}, "it contains no tensors"),
        (
            b'{"t":{"data_offsets"' * 100_000,
            f"100000 tensors; the limit is {TENSOR_LIMIT}",
        ),
    ],
    ids=range(7),
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: object, said: str) -> None:
    assert said in why(written(tmp_path, header))


FORM = "a tensor entry does not follow the format"
NUMBERS = "a shape or offset of a tensor is not a non-negative integer"
SIZE = "the size of a tensor does not match its shape and dtype"


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, SIZE),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}, "it is cut off: "),
        ({"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}, "end at byte 36 of 8"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0, 10**30]}, "it is cut off: "),
        ({"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]}, SIZE),
        ({"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}, SIZE),
        ({"dtype": "F4", "shape": [3], "data_offsets": [0, 1]}, SIZE),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, NUMBERS),
        ({"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}, NUMBERS),
        ({"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]}, NUMBERS),
        ({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}, NUMBERS),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, "8"]}, NUMBERS),
        ({"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}, FORM),
        ({"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}, FORM),
        ({"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}, FORM),
        ({"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}, FORM),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0]}, FORM),
        ({"dtype": "F32", "shape": [2], "data_offsets": {}}, FORM),
        ({"dtype": "F32", "shape": [2]}, FORM),
        ({"shape": [2], "data_offsets": [0, 8]}, FORM),
        ({"dtype": "F32", "shape": [2] * 100_000, "data_offsets": [0, 8]}, FORM),
        ([], FORM),
        (None, FORM),
        ("F32", FORM),
    ],
    ids=range(24),
)
@pytest.mark.parametrize("others", [{}, {"sound": SCALAR}])
def test_a_tensor_that_does_not_add_up_is_refused(
    tmp_path: Path, tensor: object, said: str, others: dict[str, Any]
) -> None:
    assert said in why(written(tmp_path, {**others, "a": tensor}))


def test_tensors_that_share_bytes_are_refused(tmp_path: Path) -> None:
    shared = {"a": SCALAR, "b": {**SCALAR, "data_offsets": [2, 6]}}
    assert why(written(tmp_path, shared)) == "two of its tensors overlap"
    apart = {"b": {**SCALAR, "data_offsets": [4, 8]}, "a": SCALAR}
    assert list(read_header(written(tmp_path, apart)).shapes) == ["b", "a"]


@pytest.mark.long
def test_a_header_larger_than_32_mib_is_read(tmp_path: Path) -> None:
    """Up to the format's own limit, as every other program reads it."""
    note = "x" * (33 * 2**20)
    file = written(tmp_path, {"a": SCALAR, "__metadata__": {"note": note}})
    assert read_header(file).metadata["note"] == note


def test_a_header_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", HEADER_LIMIT + 1))
    os.truncate(file, HEADER_LIMIT * 2)  # sparse: takes no space on the disk
    assert "got 100000001" in why(file)


def test_metadata_that_is_no_table_is_as_none(tmp_path: Path) -> None:
    assert read_header(written(tmp_path, {"a": SCALAR, "__metadata__": ["x"]})).metadata == {}


def test_another_suffix_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    assert "does not end in .safetensors" in why(tmp_path / "does-not-even-exist.ckpt")


@pytest.mark.parametrize("name", ["gone.safetensors", "nul\0.safetensors"])
def test_what_cannot_be_opened_is_not_called_malformed(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile, match="it cannot be opened") as failure:
        read_header(tmp_path / name)
    assert isinstance(failure.value, OSError)
    assert str(failure.value).startswith("it cannot be opened (")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.safetensors")
    assert why(tmp_path / "x.safetensors") == "it is not a file"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: Any, raw: bytes) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "fuzz.safetensors"
    file.write_bytes(raw)
    with pytest.raises(HeaderError):
        read_header(file)
