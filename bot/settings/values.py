"""Values of settings that need more than pydantic to be read."""

import re
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Names = Annotated[tuple[str, ...], NoDecode]
"""Names, separated by commas."""


def parts_of(text: str) -> list[str]:
    """What stands between the commas of `text`, without what is empty."""
    return [part for part in map(str.strip, text.split(",")) if part]


def _ids(text: object) -> object:
    if not isinstance(text, str):
        return text
    parts = parts_of(text)
    if not all(re.fullmatch(r"[0-9]{1,19}", part) for part in parts):
        raise ValueError("must be IDs separated by commas, such as 123, 456")
    return tuple(int(part) for part in parts)


Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ids)]
"""Discord IDs, separated by commas."""
