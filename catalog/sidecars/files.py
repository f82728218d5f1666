"""Read a sidecar as JSON, with limits: it is as untrusted as the weight file next to it."""

import codecs
import stat
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

SIDECAR_MAX: Final = 2 * 1024 * 1024
"""In bytes. Civitai's description of a model with all its versions and images has up to 1.5 MB."""
COMMAS_MAX: Final = 100_000
"""Parsing blocks every other thread, for up to 0.15 ms per thousand values."""

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unusable(Exception):
    """A sidecar cannot be used at all; the message says why."""


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in `file`: UTF-8, or UTF-16 as PowerShell writes it. Raises Unusable."""
    raw = _read(file)
    if len(raw) > SIDECAR_MAX:
        raise Unusable(f"it is larger than {SIDECAR_MAX} bytes")
    if raw.count(b",") > COMMAS_MAX:
        raise Unusable(f"it has more than {COMMAS_MAX} values")
    try:
        if raw.startswith(_UTF_16):
            raw = raw.decode("utf-16").encode()
        data = from_json(raw.removeprefix(codecs.BOM_UTF8))
    except ValueError:
        raise Unusable("it is not JSON") from None
    if not isinstance(data, dict):
        raise Unusable("it is not a JSON object")
    return data


def _read(file: Path) -> bytes:
    try:
        kind = file.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise Unusable("it is not a file")  # opening a pipe would block forever
        with file.open("rb") as opened:
            return opened.read(SIDECAR_MAX + 1)
    except OSError as error:
        raise Unusable(f"it cannot be opened ({error.strerror})") from None
