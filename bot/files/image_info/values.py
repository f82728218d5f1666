"""Untrusted values of JSON, as the types that are expected, or nothing. Nothing here raises."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import PureWindowsPath
from typing import Any, Final

SHOWN_MAX: Final = 300
"""Characters of a value that is only shown."""
REST_MAX: Final = 60
"""Values that are only shown."""
LORAS_MAX: Final = 64

_HASH: Final = re.compile(r"(?:sha256:|0x)?([0-9a-fA-F]{8,64})")
_WEIGHTS: Final = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")
_WHOLE_MAX: Final = 2**64


def json_object(text: str | None) -> dict[str, Any]:
    """The object that `text` is in JSON; empty if it is none."""
    if not text or text.lstrip()[:1] != "{":
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """An integer below 2⁶⁴, also one that is written as a float or in quotes."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value.strip()):
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    fine = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _WHOLE_MAX
    return value if fine and isinstance(value, int) else None


def number(value: object) -> float | None:
    """A finite number, also one in quotes."""
    if isinstance(value, str):
        try:
            value = float(value.strip()[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def size(width: object, height: object) -> tuple[int, int] | None:
    across, down = whole(width), whole(height)
    return (across, down) if across and down and min(across, down) > 0 else None


def hashes(*values: object) -> tuple[str, ...]:
    """Those that are hashes as files are looked up by, without `sha256:` or `0x`."""
    found = (_HASH.fullmatch(value.strip()) for value in values if isinstance(value, str))
    return tuple(dict.fromkeys(match[1].lower() for match in found if match))


def stem(name: str) -> str:
    """A file's name without its ending and folders, which are somebody else's.

    Cut at SHOWN_MAX: no file system has longer ones.
    """
    file = PureWindowsPath(name.strip()).name
    ending = next((each for each in _WEIGHTS if file.lower().endswith(each)), "")
    return file[: len(file) - len(ending)][:SHOWN_MAX]


def shown(value: object) -> str:
    """A value as a line of text, cut at SHOWN_MAX; "" for nothing and for what is too nested."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        line = str(value).lower()
    elif isinstance(value, float):
        line = f"{value:g}"
    elif isinstance(value, str | int):
        line = _digits(value)
    else:
        try:
            line = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError, TypeError):
            return ""
    line = " ".join(line[: 2 * SHOWN_MAX].split())
    return line if len(line) <= SHOWN_MAX else f"{line[: SHOWN_MAX - 1]}…"


def rest(values: Mapping[str, object], used: Iterable[str]) -> dict[str, str]:
    """Every value that is not used, to be shown."""
    without = set(used)
    lines = ((key[:SHOWN_MAX], shown(value)) for key, value in values.items() if key not in without)
    return dict([(key, line) for key, line in lines if line][:REST_MAX])


def _digits(value: str | int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no integers of thousands of digits
        return "…"
