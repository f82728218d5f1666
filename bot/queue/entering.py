"""What the policy needs to know of a job."""

from math import ceil

from bot.queue.policy import InPlace, Waiting
from bot.request import COUNT_MAX, GenerationRequest
from bot.store import Job


def as_waiting(job: Job, arrived: int, needs: InPlace, now: float, *, avoids: str = "") -> Waiting:
    """`job` as it enters the queue at `now` seconds. arrived, avoids: see Waiting."""
    return Waiting(
        job.id,
        job.person,
        arrived,
        needs.model or "",
        needs.adapters,
        job.priority,
        interrupted=job.attempt > 0 and not job.suspect,
        crashes=job.crashes,
        passed=job.passed,
        due_at=None if job.due_at is None else min(job.due_at / 1000, now),
        turns=turns_of(job.request),
        memory_above=job.memory_above,
        avoids=avoids,
    )


def turns_of(request: GenerationRequest) -> int:
    """One for each COUNT_MAX images, which are the most that anything but a comparison has."""
    return ceil(request.images / COUNT_MAX)
