"""Values of settings that need more than pydantic to be read."""

import re
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

Names = Annotated[tuple[str, ...], NoDecode]
"""Names, separated by commas."""


def parts_of(text: str) -> list[str]:
    """What stands between the commas of `text`, without what is empty."""
    return [part for part in map(str.strip, text.split(",")) if part]


def as_written(value: object) -> str:
    """A setting's value as written in the environment."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key}:{number}" for key, number in value.items())
        case _:
            return str(value)


def _ids(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = parts_of(text)
    if not all(re.fullmatch(r"[0-9]{1,19}", part) for part in parts):
        raise ValueError("must be IDs separated by commas, such as 123, 456")
    return tuple(int(part) for part in parts)


Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ids)]
"""Discord IDs, separated by commas."""


DEVICES_MAX = 64


def _devices(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = [part.lower() for part in parts_of(text)]
    if parts == ["auto"]:
        return ()
    known = all(re.fullmatch(r"cuda(:(0|[1-9][0-9]?))?|mps|cpu", part) for part in parts)
    if not known or len(parts) > DEVICES_MAX:
        raise ValueError(
            "must be auto, or devices separated by commas, such as cuda:0, cuda:1"
            f" (at most {DEVICES_MAX})"
        )
    return tuple(parts)


Devices = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_devices)]
"""Names of devices, separated by commas; empty for `auto`."""
