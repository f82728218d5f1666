"""A span of time, of which what a person did is exported or forgotten."""

from dataclasses import dataclass
from typing import Self

from bot.store.jobs import now_ms


@dataclass(frozen=True, slots=True)
class Span:
    """From `since`, which is in it, until `until`, which is not; in ms since the epoch.

    since: 0 for everything before `until`.
    """

    since: int
    until: int

    @property
    def whole(self) -> bool:
        """Whether it has all that was done before its end, and with it what has no time."""
        return self.since == 0

    @classmethod
    def everything(cls) -> Self:
        """All until now."""
        return cls(0, now_ms() + 1)
