"""The header of a .safetensors file, read with bounds: the files come from anywhere."""

import json
from pathlib import Path
from typing import Final

HEADER_MAX: Final = 16 * 1024 * 1024
_LENGTH_BYTES = 8


class HeaderError(Exception):
    """The file is not a whole .safetensors file; the text says why."""


def read_metadata(path: Path) -> dict[str, str]:
    """The `__metadata__` of a .safetensors file, empty when it has none.

    Reads at most 8 bytes + HEADER_MAX. Raises HeaderError when the file is unreadable, cut off
    or something else; tensors themselves are not looked at.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if size <= _LENGTH_BYTES:
                raise HeaderError("it is empty or cut off")
            if not 2 <= length <= HEADER_MAX or length > size - _LENGTH_BYTES:
                raise HeaderError("it is not a .safetensors file, or cut off")
            raw = file.read(length)
    except (OSError, ValueError) as error:
        raise HeaderError(f"it cannot be opened ({error})") from None
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise HeaderError("it is not a .safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise HeaderError("it is not a .safetensors file: its header is not a table")
    metadata = header.pop("__metadata__", {})
    ends = [_data_end(tensor) for tensor in header.values()]
    if not ends:
        raise HeaderError("it holds no tensors")
    if max(ends) > size - _LENGTH_BYTES - length:
        raise HeaderError("it is cut off: was it copied or downloaded to the end?")
    if not isinstance(metadata, dict):
        return {}
    return {k: v for k, v in metadata.items() if isinstance(v, str)}


def _data_end(tensor: object) -> int:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or any(type(n) is not int or n < 0 for n in offsets)
    ):
        raise HeaderError("it is not a .safetensors file: a tensor has no data_offsets")
    return int(offsets[1])
