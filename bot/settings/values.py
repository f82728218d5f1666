"""Values of settings that need more than pydantic to be read."""

from typing import Annotated

from pydantic_settings import NoDecode

Names = Annotated[tuple[str, ...], NoDecode]
"""Names, separated by commas."""


def parts_of(text: str) -> list[str]:
    """What stands between the commas of `text`, without what is empty."""
    return [part for part in map(str.strip, text.split(",")) if part]
