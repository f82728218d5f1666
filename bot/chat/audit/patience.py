"""Patience: which destinations are left alone for a while, so that none keeps others waiting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bot.backoff import Backoff

AGAIN: Final = 600.0
"""Seconds after which a destination that refused is tried again."""
RETRY_AFTER: Final = Backoff(2, 10, 30, 60)
"""Seconds after which one that could not be reached is."""
TRIES: Final = 5
"""Attempts, one after the other, until one that cannot be reached counts as one that refuses."""
AWAY: Final = 3
"""Destinations that cannot be reached in a round, one after the other, until Discord counts as
away."""


@dataclass(slots=True)
class _Pause:
    """until: by the clock. failures: how often it could not be reached. blamed: how often of these
    that was not because Discord was away. why: set if it refuses."""

    until: float
    failures: int = 0
    blamed: int = 0
    why: str | None = None


class Patience:
    """Destinations are servers, and None for the owners."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pauses: dict[str | None, _Pause] = {}
        self._unreached: set[str | None] = set()

    @property
    def away(self) -> bool:
        """Whether Discord is, as far as this round shows."""
        return len(self._unreached) >= AWAY

    @property
    def refusing(self) -> Mapping[str | None, str]:
        """Those that refuse what they are told, and why."""
        return {where: pause.why for where, pause in self._pauses.items() if pause.why is not None}

    def times(self, after: float, *, refusing: bool = True) -> list[float]:
        """When those that are left alone beyond `after` are to be tried again, by the clock.

        refusing: whether with those that refuse.
        """
        pauses = (pause for pause in self._pauses.values() if refusing or pause.why is None)
        return [pause.until for pause in pauses if pause.until > after]

    def rests(self, where: str | None) -> bool:
        """Whether it is to be left alone now."""
        return where in self._pauses and self._clock() < self._pauses[where].until

    def is_exhausted(self, where: str | None) -> bool:
        """Whether it counts as refusing if it cannot be reached once more."""
        pause = self._pauses.get(where)
        return pause is not None and (pause.why is not None or pause.blamed >= TRIES - 1)

    def begin(self) -> None:
        """A round begins."""
        self._unreached.clear()

    def heed(self, where: str | None) -> bool:
        """It takes messages, or may by now; returns whether it was left alone before."""
        self._unreached.clear()
        return self._pauses.pop(where, None) is not None

    def refused(self, where: str | None, why: str) -> bool:
        """It takes no messages; returns whether that is news."""
        self._unreached.clear()
        before = self._pauses.get(where)
        self._pauses[where] = _Pause(self._clock() + AGAIN, why=why)
        return before is None or before.why is None

    def unreached(self, where: str | None) -> bool:
        """It could not be reached; returns whether that is news."""
        news = where not in self._pauses
        pause = self._pauses.setdefault(where, _Pause(0.0))
        pause.until = self._clock() + RETRY_AFTER.after(pause.failures)
        pause.failures += 1
        pause.blamed += 1
        self._unreached.add(where)
        if self.away:
            for each in self._unreached:
                self._pauses[each].blamed = 0
        return news
