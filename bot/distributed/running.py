"""Running: an order that a worker's device has; its event loop and the engine's thread share it."""

import asyncio
import math
import time

from bot.progress import Progress, Stage
from bot.worker.attempt import Watch


class Running(Watch):
    """One order, from when its pictures are fetched until its result is in the broker. `check` and
    `heard` are called in the engine's thread.

    latest: report. told: the last that the broker has.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        # Only from when its thread is free: it may still load the default model.
        self._deadline = math.inf
        self.news = asyncio.Event()
        self.ended = asyncio.Event()
        self.latest: Progress | None = None
        self.told: Progress | None = None

    def begin(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    def moved(self, stage: Stage, fraction: float) -> None:
        """How far a transfer is. Raises PaintStopped if it is to stop."""
        self.check_stop()
        self.latest = Progress(stage, fraction=fraction)
        self.news.set()

    def end(self) -> None:
        self.ended.set()
        self.news.set()
