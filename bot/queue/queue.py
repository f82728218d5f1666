"""JobQueue: who is next. It holds only what the store has; the store decides who may enter."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.errors import StoreError
from bot.progress import Progress
from bot.queue.forecast import Forecast
from bot.queue.limits import Limits, Usage, check
from bot.queue.policy import InPlace, Line, Waiting
from bot.store import Job, JobState, NewJob, Origin, Store

log = logging.getLogger(__name__)

PAUSED = "paused"
"""The setting in the store that says so."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted job and its place: at position 1 it is painted now, at 2 it is next."""

    job: Job
    place: Progress

    @property
    def position(self) -> int:
        return self.place.position


class JobQueue:
    """The line as bot.queue.policy orders it, kept in step with the store.

    A job is accepted, then released once its person was told. Between the two the consumer leaves
    it alone, so that no progress overtakes the acknowledgement.

    limits: None where nobody shares the queue. loaded: says the key of the model that the GPU
    holds; without it, that is the one of the last job. clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits | None = None,
        loaded: Callable[[], str | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._limits = limits
        self._loaded = loaded
        self._clock = clock
        self._line = Line()
        self._held: dict[str, Waiting] = {}
        self._arrivals = 0
        self._changed = asyncio.Event()
        self._newcomers: asyncio.Queue[str] = asyncio.Queue()
        self._last = InPlace()
        self._forecast = Forecast()
        self.running: Job | None = None
        self.paused = False
        self.moved: Callable[[], None] = lambda: None

    # Entering

    async def admit(self, new: NewJob) -> None:
        """Raise Refused when `new` would not be accepted now: to be asked before much is done."""
        if self._limits is not None:
            self._check(self._limits, new, await self._store.usage(new, self._clock()))

    async def accept(self, new: NewJob) -> Ticket:
        """Store `new` as pending; raises Refused when a limit is reached (see bot.queue.limits)."""
        limits = self._limits
        # First what may fail: once it is stored it is in line.
        served = await self._store.last_served([new.user_id])
        if limits is None:
            job = await self._store.accept(new)
        else:
            new = replace(new, priority=limits.priority(new.roles))
            job = await self._store.accept(new, lambda usage: self._check(limits, new, usage))
        for user, when in served.items():
            self._line.serve(user, when)
        self._held[job.id] = self._waiting(job)
        return Ticket(job, self.places()[job.id])

    def release(self, job_id: str) -> None:
        """Let the consumer have it."""
        if (waiting := self._held.pop(job_id, None)) is not None:
            self._line.add(waiting)
        self._newcomers.put_nowait(job_id)
        self._changed.set()
        self.moved()

    async def newcomer(self) -> Job | None:
        """Wait for the next job that is released; None if its turn came at once."""
        job = await self._store.find(await self._newcomers.get())
        return job if job and job.state is JobState.PENDING else None

    async def resume(self, origin: Origin) -> tuple[tuple[Ticket, ...], tuple[Job, ...]]:
        """At start: line up what an earlier run left pending, released; learn from the past.

        Returns those tickets, and the jobs given up because the process died of them too often.
        """
        await self._store.recover(origin)
        self.paused = bool(await self._store.setting(PAUSED))
        self._forecast.remember(await self._store.painted(origin))
        waiting, given_up = [], []
        for job in await self._store.jobs_in(JobState.PENDING, origin):
            if poison := job.poison:
                failed = await self._store.fail(job, poison)
                given_up += [failed] if failed else []
            else:
                waiting.append(job)
        served = await self._store.last_served({job.user_id for job in waiting})
        for user, when in served.items():
            self._line.serve(user, when)
        for job in waiting:
            self.line_up(job)
        places = self.places()
        return tuple(Ticket(job, places[job.id]) for job in waiting), tuple(given_up)

    def line_up(self, job: Job) -> None:
        """Take in a pending job that an earlier process accepted, released."""
        self._held[job.id] = self._waiting(job)
        self.release(job.id)

    # Leaving

    async def next(self) -> Job:
        """Wait for the next job and start it: it is *running* when this returns."""
        while True:
            now, here = self._clock(), self._in_place()
            choice = None if self.paused else self._line.choose(here, now)
            if choice is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            starting = asyncio.ensure_future(self._store.start(choice.job.id, choice.passed))
            try:
                job = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # Nobody is left to paint it: it waits again.
                if (started := await starting) is not None:
                    await self._store.requeue(started)
                raise
            if job is None:
                self.leave(choice.job.id)
                continue
            self._line.take(choice, now)
            self._forecast.begin(job, here, now)
            self._last = choice.job.needs
            self.running = job
            return job

    def painted(self, job: Job) -> None:
        """The running job is done: learn how long it took."""
        self._forecast.learn(job)

    async def abandon(self, ticket: Ticket) -> None:
        """Take back an accepted job that was not released, because its person cannot be told.

        Where the store does not let it be taken back, it is painted: nothing waits unseen.
        """
        try:
            cancelled = await self._store.cancel(ticket.job)
        except StoreError as error:
            log.error("job %s: cannot be taken back, so it is painted: %s", ticket.job.id, error)
            self.release(ticket.job.id)
            return
        self.leave(ticket.job.id)
        if cancelled:
            await self._store.tell(cancelled)

    def leave(self, job_id: str) -> None:
        """The job has ended; everyone behind it moves up."""
        if self.running is not None and self.running.id == job_id:
            self.running = None
        self._held.pop(job_id, None)
        self._line.remove(job_id)
        self._forecast.forget(job_id)
        self.moved()

    # Pausing

    async def pause(self) -> None:
        """Start nothing more, also after a restart, until `unpause`."""
        await self._store.set_setting(PAUSED, "yes")
        self.paused = True
        self.moved()

    async def unpause(self) -> None:
        await self._store.set_setting(PAUSED, "")
        self.paused = False
        self._changed.set()
        self.moved()

    # Looking

    def places(self) -> dict[str, Progress]:
        """Everyone in line with their place, in the order expected now, the running one first."""
        line = self._line.copy()
        for waiting in self._held.values():
            line.add(waiting)
        return self._forecast.places(line, self._in_place(), self._clock(), paused=self.paused)

    def standings(self) -> tuple[Ticket, ...]:
        """As `places`, with the jobs."""
        jobs = self._forecast.jobs
        return tuple(Ticket(jobs[job_id], place) for job_id, place in self.places().items())

    def _in_place(self) -> InPlace:
        if self._loaded is None:
            return self._last
        model = self._loaded()
        return self._last if model == self._last.model else InPlace(model)

    def _waiting(self, job: Job) -> Waiting:
        self._arrivals += 1
        needs = self._forecast.expect(job)
        return Waiting(
            job.id,
            job.user_id,
            self._arrivals,
            needs.model or "",
            needs.adapters,
            job.priority,
            interrupted=job.attempt > 0,
            passed=job.passed,
            due_at=None if job.due_at is None else job.due_at / 1000,
        )

    def _check(self, limits: Limits, new: NewJob, usage: Usage) -> None:
        check(
            limits,
            usage,
            user=new.user_id,
            roles=new.roles,
            count=new.request.count,
            now=self._clock(),
        )
