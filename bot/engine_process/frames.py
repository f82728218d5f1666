"""Frames: what is written to a pipe. Each has a kind, JSON and bytes, any of them empty."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, Final

from bot.errors import WireError
from bot.wire.codec import JSON_MAX
from bot.wire.orders import PICTURE_MAX

_HEADER: Final = struct.Struct(">4sBII")
_MARK: Final = b"img1"
"""Begins each frame: what a library prints is not taken for one."""


class Kind(IntEnum):
    """Of a frame; the comments say what its JSON and its bytes are."""

    # To the process
    BEGIN = 1  # messages.Begin
    WARM_UP = 2  # messages.Call
    PRELOAD = 3  # messages.Call; the model's entry
    PAINT = 4  # messages.Call; an order; its pictures follow
    PICTURE = 5  # nothing; a PNG
    REST = 6  # messages.Call
    STOP = 7
    PREFETCH = 8  # messages.Call; the adapters' entries
    MEASURE = 9
    # From it
    REPORT = 20  # bot.wire.reports
    IMAGE = 21  # bot.wire.paintings
    DONE = 22
    PAINTED = 23  # bot.wire.paintings
    FAILED = 24  # bot.wire.failures
    LOADED = 25  # messages.Loaded
    MEASURED = 26  # messages.Measured
    LOG = 27  # logs.Line


ENDING: Final = frozenset({Kind.DONE, Kind.PAINTED, Kind.FAILED})
"""Each call ends with one of these."""
OF_A_CALL: Final = ENDING | {Kind.REPORT, Kind.IMAGE}


@dataclass(frozen=True, slots=True)
class Frame:
    kind: Kind
    head: bytes = b""
    body: bytes = b""


def write(stream: BinaryIO, frame: Frame) -> None:
    """Raises OSError or ValueError if nobody reads any more."""
    stream.write(_HEADER.pack(_MARK, frame.kind, len(frame.head), len(frame.body)))
    stream.write(frame.head)
    stream.write(frame.body)
    stream.flush()


def read(stream: BinaryIO) -> Frame | None:
    """The next frame; None at the end, even if that is in the middle of one.

    Raises WireError for anything that is no frame, before reading more of it than its header.
    """
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    mark, number, head_size, body_size = _HEADER.unpack(header)
    if mark != _MARK:
        raise WireError(f"frame: it begins with {mark!r}; allowed is {_MARK!r}")
    try:
        kind = Kind(number)
    except ValueError:
        raise WireError(f"frame: kind {number}; allowed are {_KINDS}") from None
    if head_size > JSON_MAX or body_size > PICTURE_MAX:
        sizes = f"{head_size} and {body_size} bytes; allowed are {JSON_MAX} and {PICTURE_MAX}"
        raise WireError(f"frame: {kind.name}: {sizes}")
    head, body = stream.read(head_size), stream.read(body_size)
    if len(head) < head_size or len(body) < body_size:
        return None
    return Frame(kind, head, body)


_KINDS: Final = ", ".join(str(int(kind)) for kind in Kind)
