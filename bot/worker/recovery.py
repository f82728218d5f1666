"""What an earlier process left behind, taken up again. It reads from top to bottom:

1. What was painted but not delivered, and what ended untold, is noted before anything runs.
2. What was running waits again. What took the process with it too often is given up.
3. What waits is lined up, in its old order.
4. Jobs of a command line that died are taken over: what it painted is kept, the rest lined up.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from bot.errors import Loss
from bot.process.lock import Claims
from bot.queue import JobQueue
from bot.store import CommandLine, Job, JobState, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Jobs of whose end their people do not know yet.

    painted: their images are on disk. untold: failed or cancelled in an earlier run.
    given_up: just now.
    """

    painted: tuple[Job, ...]
    untold: tuple[Job, ...]
    given_up: tuple[Job, ...]


async def recover(
    store: Store, queue: JobQueue, origins: tuple[str, ...], claims: Claims
) -> LeftBehind:
    """Take up what this bot's own `origins` and dead command lines left, before anything runs.

    claims: tell whether the process that accepted a job of the command line lives; to it, what it
    accepted is left.
    """
    painted = await store.jobs_in(JobState.DONE, origins)
    untold = await store.untold(origins)
    await queue.restore(origins)
    await store.requeue_all(origins)
    given_up = await _line_up(store, queue, await store.jobs_in(JobState.PENDING, origins))
    await _take_over(store, queue, claims)
    return LeftBehind(tuple(painted), tuple(untold), tuple(given_up))


async def _line_up(store: Store, queue: JobQueue, jobs: Collection[Job]) -> list[Job]:
    """Returns those that were given up instead."""
    waiting, given_up = [], []
    for job in jobs:
        if (poison := job.poison) is None:
            waiting.append(job)
        else:
            log.warning("job %s: given up: %s", job.id, poison.code)
            failed = await store.fail(job, poison)
            given_up += [failed] if failed else []
    await queue.line_up(waiting)
    return given_up


async def _take_over(store: Store, queue: JobQueue, claims: Claims) -> None:
    """Jobs of a command line that died: no caller waits for them, so they end in the images
    folder, and in no channel."""
    for job in await _abandoned(store, claims, JobState.DONE):
        await store.deliver(job)
    for job in await _abandoned(store, claims, JobState.RUNNING):
        await store.lose(job, Loss.DIED)
    waiting = await _abandoned(store, claims, JobState.PENDING)
    for job in waiting:
        log.info("job %s: left behind by a command line that died; taken over", job.id)
    await _line_up(store, queue, waiting)


async def _abandoned(store: Store, claims: Claims, state: JobState) -> list[Job]:
    jobs = await store.jobs_in(state, (CommandLine.name,))
    return [job for job in jobs if await asyncio.to_thread(claims.abandoned, job.id)]
