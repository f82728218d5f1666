"""Which files to delete to make room: generated images and the input images they were made from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from typing import Final, Protocol

from bot.files.inputs import StoredInput
from bot.store import InputUse, KeptImage

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


def choose(
    images: Sequence[KeptImage],
    inputs: Sequence[KeptInput],
    *,
    before: int,
    limit: int | None,
) -> list[Kept]:
    """Which of the files, both oldest first, to delete.

    These are unused inputs, then what is older than `before` (ms), and then the oldest until no
    more than `limit` bytes are left.
    """
    chosen: list[Kept] = [kept for kept in inputs if kept.unused]
    left: list[Kept] = [kept for kept in inputs if not kept.unused]
    by_age: Iterator[Kept] = merge(images, left, key=attrgetter("ended_at"))
    total = sum(kept.bytes for kept in (*images, *left))
    for kept in by_age:
        too_much = limit is not None and total > limit
        if kept.ended_at >= before and not too_much:
            break
        if kept.deletable:
            chosen.append(kept)
            total -= kept.bytes
    return chosen
