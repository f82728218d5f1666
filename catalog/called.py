"""What users call an upscaler or a ControlNet: its key, its title or its file's name."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from catalog.embeddings import plain_name
from catalog.schema.entry import Entry

AnEntry = TypeVar("AnEntry", bound=Entry)


def called(entries: Mapping[str, AnEntry], name: str) -> AnEntry | None:
    """The one called `name`, ignoring case; where several are, a key counts for most."""
    wanted = plain_name(name).casefold()
    for names_of in _NAMES:
        for entry in entries.values():
            if names_of(entry).casefold() == wanted:
                return entry
    return None


_NAMES: Final[tuple[Callable[[Entry], str], ...]] = (
    lambda entry: entry.key,
    lambda entry: entry.name,
    lambda entry: plain_name(entry.weight_name or entry.path),
)
