"""Attempt: a running job's state, shared by the event loop and the engine thread; and Watch, which
is all of it that a worker elsewhere needs."""

import time

from bot.errors import PaintStopped, StopReason
from bot.progress import UNLIMITED, Progress, Stage
from bot.request import REGIONS_MAX, GenerationRequest
from bot.store import Job

STEPS_COVERED = 100
"""Steps, over all images of a job, up to which the timeout is not extended."""
PIXELS_COVERED = 1024 * 1024
"""Of an image with that many steps; smaller ones of other families take no longer for theirs."""
GRACE = 120.0
"""Seconds past the deadline after which the engine thread counts as hung: more than the longest
stretch between two checks of the clock, which is decoding a large image or loading a model."""
STEP_MIN = 120.0
STEP_FACTOR = 20
"""A step hangs if it takes this many times as long as any before it, and over STEP_MIN seconds."""


def seconds_for(request: GenerationRequest, timeout: float) -> float:
    """How long `request` may run: `timeout`, scaled up beyond STEPS_COVERED steps."""
    steps = sum(map(_steps, request.each))
    return timeout * max(1.0, steps / STEPS_COVERED)


def _steps(request: GenerationRequest) -> float:
    """The steps of all its images; one of a larger second pass counts as several."""
    steps: float = request.steps
    if request.hires is not None:
        # Each step of the second pass has scale² times as many pixels.
        steps += request.hires.taken * request.hires.scale**2
    # As many as may be found, of the kind that changes most.
    steps += REGIONS_MAX * max((use.strength for use in request.detail), default=0) * request.steps
    if request.upscale is not None:
        # Each runs over all of the enlarged image.
        width, height = request.final_size
        steps *= (request.upscale.strength or 0.0) * width * height / PIXELS_COVERED
    return steps * request.count


class Watch:
    """`check`, `heard` and `waited` are called in the engine thread, all other methods in the event
    loop.

    seconds: until the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline = time.monotonic() + self.seconds
        self._stop: StopReason | None = None
        self._step_at: float | None = None
        self._longest = 0.0

    def stop(self, reason: StopReason) -> None:
        """The first reason counts, but whoever has cancelled it wants it no more in any case."""
        if self._stop is None or reason is StopReason.CANCELLED:
            self._stop = reason

    def waited(self, seconds: float) -> None:
        """So long the engine was busy with something else, which does not count."""
        self._deadline += seconds

    def heard(self, progress: Progress) -> None:
        """Record a report, as a sign of life from the engine."""
        now = time.monotonic()
        if progress.stage is Stage.STARTING or progress.stage in UNLIMITED:
            # The time starts after them.
            self._deadline = now + self.seconds
        if progress.stage is not Stage.PAINTING or progress.step <= 0:
            self._step_at = None
            return
        if self._step_at is not None:
            self._longest = max(self._longest, now - self._step_at)
        # Nothing is reported during the decoding that follows the last step.
        self._step_at = now if progress.step < progress.steps else None

    def check_stop(self) -> None:
        """Raise PaintStopped if `stop` was called."""
        if self._stop is not None:
            raise PaintStopped(self._stop)

    def check(self) -> None:
        """Raise PaintStopped if `stop` was called or the deadline has passed."""
        self.check_stop()
        if time.monotonic() > self._deadline:
            raise PaintStopped(StopReason.TIMEOUT)

    def hung(self) -> str | None:
        """Why it counts as hung; None if it does not."""
        now = time.monotonic()
        if now > self._deadline + GRACE:
            return f"it did not stop within {GRACE:.0f} s of its deadline"
        # Copy both: the engine thread may report meanwhile.
        step_at, longest = self._step_at, self._longest
        if step_at is not None and longest:
            allowed = max(STEP_MIN, STEP_FACTOR * longest)
            if now > step_at + allowed:
                return f"a step takes longer than {allowed:.0f} s; none before took so long"
        return None


class Attempt(Watch):
    """Of a job. timeout: see `seconds_for`."""

    def __init__(self, job: Job, timeout: float) -> None:
        super().__init__(seconds_for(job.request, timeout))
        self.job = job
        self._calls = 0

    def next_name(self) -> str:
        """A name for the engine's next order, which no other has: `<job>:<attempt>`, and then
        `<job>:<attempt>:1` and so on."""
        number, self._calls = self._calls, self._calls + 1
        return f"{self.job.id}:{self.job.attempt}" + (f":{number}" if number else "")
