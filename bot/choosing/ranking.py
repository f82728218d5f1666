"""The order in which entries are offered to one person. Pure."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["model", "adapter"]
First = Callable[[str, Kind], Awaitable[tuple[str, ...]]]
"""Returns the keys to offer a person first."""
MODEL: Final = "model"
ADAPTER: Final = "adapter"

OFTEN: Final = 3
"""Uses from which on an entry counts as one that its person prefers."""
PREFERRED_MAX: Final = 8
"""So many of them go before what was used last."""
RANKED_MAX: Final = 50
"""Entries with a place of their own; Discord shows 25 choices."""


@dataclass(frozen=True, slots=True)
class Used:
    """How often a person used an entry, and when last, in milliseconds since the epoch."""

    key: str
    count: int
    last: int


def ranked(loaded: Collection[str], used: Iterable[Used]) -> tuple[str, ...]:
    """Keys to offer before all others: loaded, used most, used last; each once.

    loaded: keys of what a GPU holds. At most RANKED_MAX keys.
    """
    recent = sorted(used, key=lambda use: -use.last)
    often = sorted((use for use in recent if use.count >= OFTEN), key=lambda use: -use.count)
    order = dict.fromkeys(
        [
            *sorted(loaded),
            *(use.key for use in often[:PREFERRED_MAX]),
            *(use.key for use in recent),
        ]
    )
    return tuple(order)[:RANKED_MAX]
