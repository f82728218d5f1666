"""The header of a .safetensors file, read with bounds before anything else opens the file."""

import math
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

HEADER_LIMIT: Final = 32 * 2**20
"""Bytes. An SDXL checkpoint of 2,500 tensors has a header of 0.3 MiB."""
TENSOR_LIMIT: Final = 20_000
"""An SDXL checkpoint has 2,500; of all adapters, a GLoRA of every module has most: 8,000."""
AXES_LIMIT: Final = 8
_LENGTH_BYTES: Final = 8
_BYTES_OF: Final = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
    "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


class NotSafetensors(Exception):
    """The file is something else, cut off or malformed; the text says which."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about its tensors.

    shapes: of every tensor by name, in the file's order.
    dtypes: of every tensor, in the words of the format: "F16", "BF16", "F32", …
    starts, sizes: of every tensor's bytes; starts are counted from `data_start`.
    data_start: offset of the first tensor's bytes in the file.
    metadata: what its writer said besides; nothing of it is checked.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    starts: dict[str, int]
    sizes: dict[str, int]
    data_start: int
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Check `path` and read its header. Raises NotSafetensors; OSError when it cannot be read."""
    if path.suffix.lower() != ".safetensors":
        raise NotSafetensors("its name does not end in .safetensors")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise NotSafetensors("it is not a file")  # a pipe would keep its reader waiting for ever
    size = status.st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or not 2 <= length <= min(HEADER_LIMIT, size - _LENGTH_BYTES):
            raise NotSafetensors("it does not begin with the length of a header")
        raw = file.read(length)
    # Before it is parsed, for that stops every other thread, and with it the event loop.
    if (claimed := raw.count(b'"data_offsets"')) > TENSOR_LIMIT:
        raise NotSafetensors(f"it claims {claimed} tensors; up to {TENSOR_LIMIT} are read")
    try:
        # Takes half of json.loads' time, and refuses nesting by itself.
        table = from_json(raw)
    except ValueError:
        raise NotSafetensors("its header is not JSON") from None
    if not isinstance(table, dict):
        raise NotSafetensors("its header is not a table")
    metadata = table.pop("__metadata__", None)
    data_size = size - _LENGTH_BYTES - length
    shapes = {name: _checked_shape(entry, data_size) for name, entry in table.items()}
    spans = {name: entry["data_offsets"] for name, entry in table.items()}
    _check_apart((start, end) for start, end in spans.values())
    return Header(
        shapes=shapes,
        dtypes={name: entry["dtype"] for name, entry in table.items()},
        starts={name: start for name, (start, _) in spans.items()},
        sizes={name: end - start for name, (start, end) in spans.items()},
        data_start=_LENGTH_BYTES + length,
        metadata=_strings(metadata),
    )


def _check_apart(spans: Iterable[tuple[int, int]]) -> None:
    """The format forbids that tensors share bytes; a small file could claim endless ones so."""
    taken = 0
    for start, end in sorted(spans):
        if start < taken:
            raise NotSafetensors("two of its tensors share bytes")
        taken = end


def _strings(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict):
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _checked_shape(entry: Any, data_size: int) -> tuple[int, ...]:
    """The shape, when type, shape and place of the tensor agree with each other and the file."""
    try:
        shape = tuple(entry["shape"])
        if len(shape) > AXES_LIMIT:
            raise ValueError  # the product of a million sides takes hours
        start, end = entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
        width = _BYTES_OF[entry["dtype"]]
    except (KeyError, TypeError, ValueError):
        raise NotSafetensors("a tensor is not described as the format demands") from None
    if not whole or not start <= end <= data_size or end - start != width * math.prod(shape):
        raise NotSafetensors("a tensor lies outside the file; it may be cut off")
    return shape
