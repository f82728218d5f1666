"""Where the parameters of a network lie on the device: all side by side, or some by turns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bot.engine.weights.layout import Layout

PLACES: Final = 2
"""Where blocks take turns: one is computed with while the next one is copied."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring parameters of a network's layout.

    layout: of them by themselves. at: the byte at which they begin on the device.
    """

    layout: Layout
    at: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where the parameters of a network lie on the device.

    layout: of the memory there, in which the blocks that take turns lie over each other. kept: what
    stays there. by_turns: the others, by the path of their block, in the order in which the network
    has them; the one at position i lies in place i modulo PLACES.
    """

    layout: Layout
    kept: tuple[Run, ...]
    by_turns: Mapping[str, Run]

    @classmethod
    def whole(cls, layout: Layout) -> "Arrangement":
        """Everything stays there, as in `layout`."""
        return cls(layout, (Run(layout, 0),), {})

    @classmethod
    def within(cls, layout: Layout, blocks: Sequence[str], room: int) -> "Arrangement":
        """At most `room` bytes, or as few as possible if that cannot be.

        blocks: paths of modules of which the network runs one at a time, in the order of the
            layout; only their parameters take turns. As many blocks as have room stay; the others
            are spread evenly among them, so that each has time to be copied meanwhile.
        """
        pieces = list(_pieces(layout, blocks))
        sizes = [piece.size for _, piece in pieces]
        own = [number for number, (path, _) in enumerate(pieces) if path]
        turning = _turning(sizes, own, room)
        if not turning:
            return cls.whole(layout)
        kept, end = [], 0
        for number, (_, piece) in enumerate(pieces):
            if number not in turning:
                kept.append(Run(piece, end))
                end += sizes[number]
        largest = max(sizes[number] for number in turning)
        by_turns = {
            path: Run(piece, end + position % PLACES * largest)
            for position, (path, piece) in enumerate(pieces[number] for number in turning)
        }
        slots = {
            name: slot.moved(run.at)
            for run in (*kept, *by_turns.values())
            for name, slot in run.layout.slots.items()
        }
        ordered = {name: slots[name] for name in layout.slots}
        there = Layout(ordered, end + PLACES * largest, layout.dtype)
        return cls(there, tuple(kept), by_turns)


def _pieces(layout: Layout, blocks: Sequence[str]) -> Iterator[tuple[str, Layout]]:
    """Each block, and whatever lies between two of them, which has no path."""
    known = frozenset(blocks)

    def block_of(name: str) -> str:
        parts = name.split(".")
        paths = (".".join(parts[:end]) for end in range(1, len(parts)))
        return next((path for path in paths if path in known), "")

    for path, names in groupby(layout.slots, block_of):
        _, piece = layout.piece(tuple(names))
        yield path, piece


def _turning(sizes: Sequence[int], blocks: Sequence[int], room: int) -> tuple[int, ...]:
    """Which of `blocks`, positions in `sizes`, take turns: as few as possible, evenly spread; none
    if all have room, or if there are no more than places."""
    whole = sum(sizes)
    if whole <= room or len(blocks) <= PLACES:
        return ()
    chosen: tuple[int, ...] = ()
    for count in range(PLACES + 1, len(blocks) + 1):
        chosen = tuple(
            block
            for number, block in enumerate(blocks)
            if (number + 1) * count // len(blocks) > number * count // len(blocks)
        )
        gone = sum(sizes[block] for block in chosen)
        if whole - gone + PLACES * max(sizes[block] for block in chosen) <= room:
            break
    return chosen
