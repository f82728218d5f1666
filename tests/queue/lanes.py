"""Queues with one lane, and takers of their jobs."""

import asyncio
from collections.abc import Callable
from typing import Any

from bot.queue import JobQueue, Lane
from bot.queue.policy import InPlace
from bot.store import Job, NewJob, Store
from tests.store.factories import new_job, request

ORIGINS = ("discord",)


def queue_of(
    store: Store, loaded: Callable[[], str | None] | None = None, **more: object
) -> JobQueue:
    """A queue with one lane. more: of JobQueue."""
    return JobQueue(store, [Lane(loaded=loaded)], **dict[str, Any](more))


async def next_of(queue: JobQueue) -> Job:
    """The next job, on the first lane."""
    return await queue.next(queue.lanes[0])


def lanes(*in_place: InPlace) -> list[Lane]:
    """Idle lanes that hold these models."""
    made = []
    for here in in_place:
        lane = Lane()
        lane.last = here
        made.append(lane)
    return made


def positions(queue: JobQueue) -> dict[str, int]:
    return {job_id: place.position for job_id, place in queue.places().items()}


async def entered(queue: JobQueue, *asked: NewJob) -> list[str]:
    ids = []
    for new in asked:
        ticket = await queue.accept(new)
        queue.release(ticket.job.id)
        ids.append(ticket.job.id)
    return ids


def of(user: int, model: str = "demo", **fields: Any) -> NewJob:
    return new_job(user_id=user, request=request(model=model), **fields)


def queue_with(store: Store, *loaded: str | None) -> JobQueue:
    """A queue whose lanes have these models loaded."""
    lanes = []
    for n, model in enumerate(loaded):
        lane = Lane(f"gpu{n}")
        lane.last = InPlace(model)
        lanes.append(lane)
    return JobQueue(store, lanes)


async def settled() -> None:
    """Everything that can go on without anything happening has gone on."""
    for _ in range(50):
        await asyncio.sleep(0.002)
