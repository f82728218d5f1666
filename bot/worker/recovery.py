"""Recovery: resumes the jobs that an earlier process left unfinished. In this order:

1. Collect jobs that were generated but not delivered, and failures not yet reported.
2. Requeue jobs that were running, as suspects if one of them may have ended the process, but not
   those that were only being saved meanwhile. Fail those that have done so too often.
3. Queue the pending jobs in their old order, suspects behind all others.
4. Take over jobs of command lines that died: keep generated images, queue the rest.
5. Once jobs are generated again: deliver and report what step 1 collected.
6. Once logged in, each origin shows its waiting jobs again where it had shown them before.

Steps 1 to 4 are `recover`, step 5 is `tell`; step 6 is `Delivery.resume` for Discord.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat

from bot.process.lock import Claims
from bot.queue import JobQueue
from bot.queue.outlook import FEW, PART
from bot.store import CommandLine, Job, JobState, Store
from bot.worker.observers import JobObserver

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Jobs that have ended without their person being told.

    painted: their images are on disk. untold: failed or cancelled in an earlier run.
    given_up: failed now, during recovery.
    """

    painted: tuple[Job, ...]
    untold: tuple[Job, ...]
    given_up: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class LastEnd:
    """How the last process ended, as far as is known.

    asked: it had been told to stop, even if it was killed before it had. crashed: something that
    one of its threads did ended it. With neither, it was killed, or died without a trace.
    """

    asked: bool = False
    crashed: bool = False


UNKNOWN = LastEnd()


async def recover(
    store: Store,
    queue: JobQueue,
    origins: tuple[str, ...],
    claims: Claims,
    end: LastEnd = UNKNOWN,
) -> LeftBehind:
    """Recover the jobs of this bot's `origins` and of dead command lines, before anything runs.

    claims: tells whether the process that accepted a command-line job is alive; if so, the job is
    left to it. end: of the last process that ran these jobs.
    """
    with _kept_out_of_collections(queue):
        painted = await store.jobs_in(JobState.DONE, origins)
        untold = await store.untold(origins)
        await queue.restore(origins)
        await store.requeue_all(origins, innocent=end.asked, own=end.crashed)
        given_up = await _line_up(store, queue, await store.jobs_in(JobState.PENDING, origins))
        await _take_over(store, queue, claims)
    return LeftBehind(tuple(painted), tuple(untold), tuple(given_up))


@contextmanager
def _kept_out_of_collections(queue: JobQueue) -> Iterator[None]:
    """Collect no garbage while the block lasts, and never look at what is there by its end if the
    queue is long then.

    Thousands of jobs are more than a hundred thousand objects, none of them in a cycle: to go
    through them takes a tenth of a second, during which no thread does anything else.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(queue) > FEW:
            gc.freeze()
        if collects:
            gc.enable()


async def tell(left: LeftBehind, teller: JobObserver, observers: JobObserver) -> None:
    """Deliver and report what earlier runs left.

    teller: passes each job to its origin. observers: all that hear of a job that ends, the teller
    included.
    """
    news: Iterator[tuple[Job, Callable[[Job], Awaitable[None]]]] = chain(
        zip(left.painted, repeat(teller.finished)),
        zip(left.untold, repeat(teller.failed)),
        zip(left.given_up, repeat(observers.failed)),
    )
    async with asyncio.TaskGroup() as group:
        for number, (job, say) in enumerate(news, 1):
            group.create_task(_told(job, say))
            if number % PART == 0:
                await asyncio.sleep(0)


async def _told(job: Job, say: Callable[[Job], Awaitable[None]]) -> None:
    try:
        await say(job)
    except Exception:
        log.exception("job %s: could not be delivered or reported", job.id)


async def _line_up(store: Store, queue: JobQueue, jobs: Collection[Job]) -> list[Job]:
    """Queue `jobs`; returns those that were failed instead."""
    waiting, given_up = [], []
    for job in jobs:
        if (poison := job.poison) is None:
            if job.suspect:
                log.warning(
                    "job %s: a process died while it ran (crash %d); it is tried again after all "
                    "others, and alone",
                    job.id,
                    job.crashes,
                )
            waiting.append(job)
        else:
            log.warning("job %s: given up: %s (%d crashes)", job.id, poison.code, job.crashes)
            failed = await store.fail(job, poison)
            given_up += [failed] if failed else []
    await queue.line_up(waiting)
    return given_up


async def _take_over(store: Store, queue: JobQueue, claims: Claims) -> None:
    """Take over jobs of command lines that died. No caller waits for them, so their images stay
    in the images folder and are posted nowhere."""
    for job in await _abandoned(store, claims, JobState.DONE):
        await store.deliver(job)
    for job in await _abandoned(store, claims, JobState.RUNNING):
        await store.witness(job)
    waiting = await _abandoned(store, claims, JobState.PENDING)
    for job in waiting:
        log.info("job %s: taken over from a process that has ended", job.id)
    await _line_up(store, queue, waiting)


async def _abandoned(store: Store, claims: Claims, state: JobState) -> list[Job]:
    jobs = await store.jobs_in(state, (CommandLine.name,))
    return [job for job in jobs if await asyncio.to_thread(claims.abandoned, job.id)]
