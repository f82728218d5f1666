"""Which files to delete to make room: generated images and the input images they were made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Protocol

from bot.files.inputs import StoredInput
from bot.store import InputUse

FORGET_AFTER: Final = 60 * 60 * 1000
"""Milliseconds that an input image is kept without a job: its job may not be stored yet."""


class Kept(Protocol):
    """A file that may be deleted."""

    @property
    def bytes(self) -> int: ...

    @property
    def ended_at(self) -> int: ...

    @property
    def deletable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class KeptInput:
    """An input image in the folder; the fields are as for KeptImage.

    unused: whether no job will ever need it.
    """

    file: StoredInput
    ended_at: int
    deletable: bool
    unused: bool

    @property
    def bytes(self) -> int:
        return self.file.bytes


def kept_inputs(
    files: Iterable[StoredInput], uses: Mapping[str, InputUse], now: int
) -> list[KeptInput]:
    """What is known of `files`, oldest first. now: in milliseconds since the epoch."""
    kept = []
    for file in files:
        use = uses.get(file.sha256)
        forgotten = file.given_at < now - FORGET_AFTER
        unused = forgotten and (use is None or not use.wanted)
        if file.name.endswith(".part"):
            use, unused = None, forgotten
        kept.append(
            KeptInput(
                file=file,
                ended_at=use.ended_at if use else file.given_at,
                deletable=forgotten and not (use and use.needed),
                unused=unused,
            )
        )
    return sorted(kept, key=attrgetter("ended_at"))


class Pruning:
    """Which files to delete, decided while they are gone through from the oldest on.

    total: bytes of all files that count. before: what is older goes, in ms. limit: bytes beyond
    which the oldest go; None for no limit.
    """

    def __init__(self, total: int, *, before: int, limit: int | None) -> None:
        self._total = total
        self._before = before
        self._limit = limit
        self.done = False
        """Whether everything younger stays."""

    def choose(self, kept: Iterable[Kept]) -> list[Kept]:
        """Those of `kept` to delete; they are older than any that follow."""
        chosen = []
        for each in kept:
            too_much = self._limit is not None and self._total > self._limit
            if each.ended_at >= self._before and not too_much:
                self.done = True
                break
            if each.deletable:
                chosen.append(each)
                self._total -= each.bytes
        return chosen

    @property
    def left(self) -> int:
        """Bytes of what has not been chosen."""
        return self._total
