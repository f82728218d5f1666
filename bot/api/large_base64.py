"""Base64 of images, slice by slice.

In one go, 20 MB keep Python's lock (the GIL) for 0.1 to 0.3 s: the event loop stands still even if
that happens in another thread.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

SLICE: Final = 2**18
"""Characters that are decoded, or encoded, in one go."""
GROUP: Final = 4
"""Characters that stand for three bytes."""


def decoded(text: str) -> bytes:
    """What `text` stands for; white space in it does not count. Raises ValueError."""
    found: list[bytes] = []
    rest, padded = "", False
    for begin in range(0, len(text), SLICE):
        rest += "".join(text[begin : begin + SLICE].split())
        if padded and rest:
            raise binascii.Error("there is more after the padding")
        whole = len(rest) // GROUP * GROUP
        found.append(base64.b64decode(rest[:whole], validate=True))
        padded |= rest[:whole].endswith("=")
        rest = rest[whole:]
    found.append(base64.b64decode(rest, validate=True))
    return b"".join(found)


def slices(data: bytes) -> Iterator[bytes]:
    """The base64 of `data`, in pieces to put together."""
    size = SLICE // GROUP * 3
    for begin in range(0, len(data), size):
        yield base64.b64encode(data[begin : begin + size])
