"""The header of a .safetensors file, read with bounds: the files come from anywhere."""

import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

HEADER_MAX: Final = 16 * 1024 * 1024
TENSORS_MAX: Final = 20_000
"""An SDXL checkpoint has 2,500; of all adapters, a GLoRA of every module has most: 8,000."""
_LENGTH_BYTES = 8


class HeaderError(Exception):
    """The file is not a whole .safetensors file; the text says why."""


class Shapes(Mapping[str, tuple[int, ...]]):
    """The shape of every tensor by name, () where it is malformed; made of JSON when asked for."""

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, dict[str, Any]]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> tuple[int, ...]:
        shape = self._tensors[name].get("shape")
        if type(shape) is not list:
            return ()
        for side in shape:
            if type(side) is not int or side < 0:
                return ()
        return tuple(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@dataclass(frozen=True, slots=True)
class Header:
    """What a .safetensors file says of itself before its numbers begin.

    metadata: `__metadata__`, empty when there is none.
    """

    metadata: Mapping[str, str]
    shapes: Shapes


def read_metadata(path: Path) -> dict[str, str]:
    """The `__metadata__` of a .safetensors file, or {}. Bounds and errors as of `read_header`."""
    _, metadata = _read(path)
    return metadata


def read_header(path: Path) -> Header:
    """The metadata and the shapes of a .safetensors file; no tensor is read.

    Reads at most 8 bytes + HEADER_MAX. Raises HeaderError when the file is unreadable, cut off
    or something else.
    """
    tensors, metadata = _read(path)
    return Header(metadata, Shapes(tensors))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # A pipe would keep its reader waiting for ever.
            raise HeaderError("it is not a file")
        size = status.st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if size <= _LENGTH_BYTES:
                raise HeaderError("it is empty or cut off")
            if not 2 <= length <= HEADER_MAX or length > size - _LENGTH_BYTES:
                raise HeaderError("it is not a .safetensors file, or cut off")
            raw = file.read(length)
    except (OSError, ValueError) as error:
        raise HeaderError(f"it cannot be opened ({error})") from None
    # Before it is parsed, for that stops every other thread, and with it the event loop.
    if (tensors := raw.count(b'"data_offsets"')) > TENSORS_MAX:
        raise HeaderError(f"it claims {tensors} tensors; up to {TENSORS_MAX} are read")
    try:
        # Takes two thirds of json.loads' time, and refuses nesting by itself.
        header = from_json(raw)
    except ValueError:
        raise HeaderError("it is not a .safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise HeaderError("it is not a .safetensors file: its header is not a table")
    metadata = header.pop("__metadata__", {})
    if not header:
        raise HeaderError("it holds no tensors")
    if _data_end(header.values()) > size - _LENGTH_BYTES - length:
        raise HeaderError("it is cut off: was it copied or downloaded to the end?")
    if not isinstance(metadata, dict):
        metadata = {}
    return header, {k: v for k, v in metadata.items() if isinstance(v, str)}


def _data_end(tensors: Collection[Any]) -> int:
    """Where the last number of all tensors ends; one look at all, for there may be thousands."""
    bounds: list[int] = []
    try:
        offsets = [tensor["data_offsets"] for tensor in tensors]
        bounds = list(chain.from_iterable(offsets))
        sound = {*map(len, offsets)} == {2} and {*map(type, bounds)} == {int} and min(bounds) >= 0
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise HeaderError("it is not a .safetensors file: a tensor has no data_offsets")
    return max(bounds)
