"""Patience: with a worker that reports a download, or another transfer, which has no deadline."""

import time
from typing import Final

from bot.progress import UNLIMITED, Progress, Stage

BORNE: Final = 600.0
"""Seconds in which it has to get on by STEP."""
STEP: Final = 0.01
SUBJECTS_MAX: Final = 32
"""Of how many things it may report the first fraction; more do not count as getting on."""


class Patience:
    """Ends if what is reported does not get on. Reports of other stages take no patience, and give
    none back."""

    def __init__(self) -> None:
        self._reached: dict[tuple[Stage, str], float] = {}
        self._waited = 0.0
        self._since: float | None = None

    @property
    def is_over(self) -> bool:
        return self._waited > BORNE

    def heard(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._since is not None:
            self._waited += now - self._since
        self._since = now if progress.stage in UNLIMITED else None
        if self._since is not None and self._gets_on(progress):
            self._waited = 0.0

    def _gets_on(self, progress: Progress) -> bool:
        what = (progress.stage, progress.subject)
        reached = self._reached.get(what)
        if reached is None:
            if len(self._reached) == SUBJECTS_MAX:
                return False
        elif progress.fraction < min(reached + STEP, 1.0) or reached == 1.0:
            return False
        self._reached[what] = progress.fraction
        return True
