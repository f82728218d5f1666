"""Unread: a weight file that is read later, in the background."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Unread:
    """kind: "adapter", "embedding", "pair" or "checkpoint". paths: the second file of a pair comes
    first; a model that is several files has all of them. beside: names of its sidecars. names: what
    a request may call it, folded as by `catalog.search`.
    """

    kind: str
    paths: tuple[str, ...]
    beside: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return Path(self.paths[0])

    def is_named_in(self, text: str) -> bool:
        """text: folded likewise."""
        return any(name in text for name in self.names)


class NotReadYet(Exception):
    """Nothing is known about a file so far; it is not an error of the file."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread.paths[0])
        self.unread = unread
