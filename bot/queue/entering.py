"""What the policy needs to know of a job."""

from math import ceil
from typing import Final

from bot.queue.policy import InPlace, Waiting
from bot.request import COUNT_MAX, GenerationRequest
from bot.store import Job

REFERENCE: Final = "/reference"
"""No key of a catalog has a slash."""


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
        prefers=job.request.environment or "",
        memory_above=job.memory_above,
        avoids=avoids,
        also=_also_needed(job.request),
    )


def _also_needed(request: GenerationRequest) -> tuple[str, ...]:
    """What a job has files of, besides its model and LoRAs: the models and LoRAs of a comparison's
    other cells, embeddings, upscalers, and what reads reference images."""
    others = set(request.names).difference((request.model, *(use.key for use in request.adapters)))
    guided = any(each.reference is not None for each in request.each)
    return (*sorted(others), *([REFERENCE] if guided else []))


def turns_of(request: GenerationRequest) -> int:
    """One for each COUNT_MAX images, which are the most that anything but a comparison has."""
    return ceil(request.images / COUNT_MAX)
