"""Read the header of a .safetensors file, with limits: the files are untrusted.

The format: github.com/huggingface/safetensors, "Format" in its README.
"""

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from itertools import chain, pairwise
from operator import le, mul, sub
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from catalog.weight_files.large_json import Repeated, TooMany, parse_large

HEADER_LIMIT: Final = 100_000_000
"""In bytes; the format's own limit. An SDXL checkpoint of 2,500 tensors has a 0.3 MB header."""
TENSOR_LIMIT: Final = 20_000
"""An SDXL checkpoint has 2,500; the largest adapter, a GLoRA of every module, has 8,000."""
AXES_LIMIT: Final = 8
AXIS_MAX: Final = 2**63 - 1
"""Of one dimension; a tensor without data may say any."""
WHOLE_MAX: Final = 512 * 1024
"""Bytes of a header that are parsed in one call, which blocks every other thread: 3 ms for 2,958
tensors, 25 ms for the worst that fits. Larger ones are parsed in pieces."""
_TOO_MANY: Final = f"it claims more tensors than the limit of {TENSOR_LIMIT}"
_LENGTH_BYTES: Final = 8
_BITS: Final = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
"""Bits per element, by the format's dtype name."""

_PAGES: Final = (b"<!DO", b"<!do", b"<htm", b"<HTM", b"<?xm")
_OTHERS: Final = (
    (b"GGUF", "a GGUF file, whatever its name says"),
    (b"PK\x03\x04", "a PyTorch file or a ZIP archive, whatever its name says"),
    (b"\x80\x02}q", "a pickle file, whatever its name says"),
    (b"\x80\x02\x8a\x0a", "a pickle file, whatever its name says"),
    (b"version ", "a Git LFS pointer: the file itself has not been downloaded"),
    *((start, "a web page: the download was refused, or needs a login") for start in _PAGES),
)
"""What other files begin with that are found under the name of a .safetensors file. As the length
of a header, all but the ZIP archive's would be over the limit."""


class HeaderError(Exception):
    """The header of a file cannot be read; the message says why."""


class UnreadableFile(HeaderError, OSError):
    """The file cannot be opened or read."""


class NotSafetensors(HeaderError):
    """The file is something else, truncated or malformed."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about its tensors.

    shapes: of every tensor by name, in the file's order.
    dtypes: of every tensor, by the format's names: "F16", "BF16", "F32", …
    starts, sizes: of every tensor's bytes; starts are counted from `data_start`.
    data_start: offset of the first tensor's bytes in the file.
    metadata: what the writer added (`__metadata__`), empty if there is none; unchecked.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    starts: Mapping[str, int]
    sizes: Mapping[str, int]
    data_start: int
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read the header of `path` and check it against the format; no tensor is read.

    Raises UnreadableFile, or NotSafetensors if the file is something else, truncated or malformed.
    """
    opened = open_tensors(path)
    opened.file.close()
    return opened.header


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose header was read.

    start: all bytes before the tensors. file: unbuffered, at the first byte of the tensors; to be
    closed. stat: of the file before a byte of it was read.
    """

    header: Header
    start: bytes
    file: FileIO
    stat: os.stat_result


def open_tensors(path: Path) -> Opened:
    """Read the header of `path` as `read_header`, and keep the file open.

    Reading on from it reads the file that the header describes even if another takes its name.
    Raises as `read_header`.
    """
    if path.suffix.lower() != ".safetensors":
        raise NotSafetensors("its name does not end in .safetensors")
    raw, status, file = _read(path)
    try:
        table = _parse(raw)
        metadata = table.pop("__metadata__", None)
        if not table:
            raise NotSafetensors("it contains no tensors")
        if len(table) > TENSOR_LIMIT:  # one may spell the counted word "\u0064ata_offsets"
            raise NotSafetensors(_TOO_MANY)
        start = _LENGTH_BYTES + len(raw)
        header = _checked(table, status.st_size - start, start, _strings(metadata))
    except BaseException:
        file.close()
        raise
    return Opened(header, len(raw).to_bytes(_LENGTH_BYTES, "little") + raw, file, status)


def _parse(raw: bytes) -> dict[str, Any]:
    """The members of a header. Raises NotSafetensors."""
    if (claimed := raw.count(b'"data_offsets"')) > TENSOR_LIMIT:
        raise NotSafetensors(f"it claims {claimed} tensors; the limit is {TENSOR_LIMIT}")
    try:
        if len(raw) > WHOLE_MAX:
            return parse_large(raw, TENSOR_LIMIT + 1)
        # Twice as fast as json.loads, and rejects deep nesting by itself.
        table = from_json(raw)
        if not isinstance(table, dict):
            raise NotSafetensors("its header is not a JSON object")
        if claimed > len(table.keys() - {"__metadata__"}):
            parse_large(raw, TENSOR_LIMIT + 1)  # tells which name occurs twice
    except Repeated as error:
        raise NotSafetensors(f"its header names {error.args[0]!r:.80} twice") from None
    except TooMany:
        raise NotSafetensors(_TOO_MANY) from None
    except ValueError:
        raise NotSafetensors("its header is not JSON") from None
    return table


def _read(path: Path) -> tuple[bytes, os.stat_result, FileIO]:
    """The bytes of the header, and the file, as it was when opened and open at what follows."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotSafetensors("it is not a file")  # a pipe would block its reader forever
        file = path.open("rb", buffering=0)
        try:
            status = os.fstat(file.fileno())
            return _raw(file, status.st_size), status, file
        except BaseException:
            file.close()
            raise
    except (OSError, ValueError) as error:  # a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableFile(f"it cannot be opened ({reason})") from error


def _raw(file: FileIO, size: int) -> bytes:
    first = file.read(_LENGTH_BYTES)
    length = int.from_bytes(first, "little")
    if size <= _LENGTH_BYTES:
        raise NotSafetensors(f"it is empty or cut off: it has {size} bytes")
    if not 2 <= length <= HEADER_LIMIT:
        # Other files begin with letters: as a number, more than any disk holds.
        if HEADER_LIMIT < length <= size - _LENGTH_BYTES:
            raise NotSafetensors(
                f"its header is too long: {HEADER_LIMIT} bytes are allowed, got {length}"
            )
        raise NotSafetensors(
            _another(first)
            or f"it does not begin with a header length (2 to {HEADER_LIMIT} bytes, got {length})"
        )
    if length > size - _LENGTH_BYTES:
        raise NotSafetensors(
            _another(first)
            or f"its header is cut off: {length} bytes long, but only"
            f" {size - _LENGTH_BYTES} are present"
        )
    return file.read(length)


def _another(first: bytes) -> str:
    """What a file that begins so is, a clause; "" if that is not known."""
    return next((f"it is {kind}" for start, kind in _OTHERS if first.startswith(start)), "")


def _checked(
    table: dict[str, Any], data_size: int, data_start: int, metadata: dict[str, str]
) -> Header:
    """The header of these tensors, if dtypes, shapes and offsets agree with each other and with
    the file. Raises NotSafetensors."""
    # Column by column: a loop over the tensors takes 1.5 times as long, for each LoRA of a folder.
    entries = table.values()
    try:
        shapes = [entry["shape"] for entry in entries]
        dtypes = [entry["dtype"] for entry in entries]
        spans = [entry["data_offsets"] for entry in entries]
        bits = [_BITS[dtype] for dtype in dtypes]
        whole = {*map(type, shapes)} == {*map(type, spans)} == {list}
        # The product of a million dimensions would take hours.
        whole = whole and {*map(len, spans)} == {2} and max(map(len, shapes)) <= AXES_LIMIT
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise NotSafetensors("a tensor entry does not follow the format")
    numbers = [*chain.from_iterable(shapes), *chain.from_iterable(spans)]
    if {*map(type, numbers)} != {int} or min(numbers) < 0:
        raise NotSafetensors("a shape or offset of a tensor is not a non-negative integer")
    if max(chain.from_iterable(shapes), default=0) > AXIS_MAX:
        raise NotSafetensors("a shape of a tensor is larger than any memory")
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    if max(ends) > data_size:
        raise NotSafetensors(
            "it is cut off: was the copy or download interrupted?"
            f" Its tensors end at byte {max(ends)} of {data_size}"
        )
    sizes = [*map(sub, ends, starts)]

    if [*map(mul, map(math.prod, shapes), bits)] != [size * 8 for size in sizes]:
        raise NotSafetensors("the size of a tensor does not match its shape and dtype")
    _check_apart(starts, ends)
    return Header(
        shapes=dict(zip(table, map(tuple, shapes), strict=True)),
        dtypes=dict(zip(table, dtypes, strict=True)),
        starts=dict(zip(table, starts, strict=True)),
        sizes=dict(zip(table, sizes, strict=True)),
        data_start=data_start,
        metadata=metadata,
    )


def _check_apart(starts: list[int], ends: list[int]) -> None:
    """The format forbids overlapping tensors, with which a small file could claim huge ones."""
    if all(map(le, ends, starts[1:])):  # as nearly every program writes them
        return
    spans = sorted(zip(starts, ends, strict=True))
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise NotSafetensors("two of its tensors overlap")


def _strings(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict):
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}
