"""Attempt: one job that is being painted, as the loop and the engine thread share it."""

import time

from bot.errors import PaintStopped, StopReason
from bot.progress import Progress, Stage
from bot.request import GenerationRequest
from bot.store import Job

STEPS_COVERED = 100
"""Steps, over all pictures of a job, for which the plain timeout is meant."""
GRACE = 120.0
"""Seconds past its deadline after which a call that does not return is given up: longer than the
longest stretch without a look at the clock, a large picture's decoding or a model's loading."""
STEP_MIN = 120.0
STEP_FACTOR = 20
"""A step hangs when it takes that many times as long as any before it, and STEP_MIN seconds."""


def seconds_for(request: GenerationRequest, timeout: float) -> float:
    """How long `request` may be painted: `timeout`, in proportion more where it has many steps."""
    steps: float = request.steps
    if request.hires is not None:
        # Each step of the second pass has that many more pixels.
        steps += request.hires.taken * request.hires.scale**2
    steps *= request.count
    return timeout * max(1.0, steps / STEPS_COVERED)


class Attempt:
    """`check` and `heard` are called in the engine thread, everything else in the loop's."""

    def __init__(self, job: Job, timeout: float) -> None:
        self.job = job
        self.seconds = seconds_for(job.request, timeout)
        self._deadline = time.monotonic() + self.seconds
        self._stop: StopReason | None = None
        self._step_at: float | None = None
        self._longest = 0.0

    def stop(self, reason: StopReason) -> None:
        self._stop = self._stop or reason

    def heard(self, progress: Progress) -> None:
        """The engine reports: it lives."""
        now = time.monotonic()
        if progress.stage is Stage.DOWNLOADING:
            # A download may take as long as it takes; the clock starts after it.
            self._deadline = now + self.seconds
        if progress.stage is not Stage.PAINTING or progress.step <= 0:
            self._step_at = None
            return
        if self._step_at is not None:
            self._longest = max(self._longest, now - self._step_at)
        # The last step is followed by what reports nothing: the decoding.
        self._step_at = now if progress.step < progress.steps else None

    def check_stop(self) -> None:
        """Raise PaintStopped when somebody asked for it."""
        if self._stop is not None:
            raise PaintStopped(self._stop)

    def check(self) -> None:
        """Raise PaintStopped when it is time to stop."""
        self.check_stop()
        if time.monotonic() > self._deadline:
            raise PaintStopped(StopReason.TIMEOUT)

    def hung(self) -> str | None:
        """Why it will not come to an end by itself; None as long as it may."""
        now = time.monotonic()
        if now > self._deadline + GRACE:
            return f"it did not stop within {GRACE:.0f} s of its deadline"
        # Copied: the engine thread may report meanwhile.
        step_at, longest = self._step_at, self._longest
        if step_at is not None and longest:
            allowed = max(STEP_MIN, STEP_FACTOR * longest)
            if now > step_at + allowed:
                return f"a step takes longer than {allowed:.0f} s; none before took that long"
        return None
