"""JobQueue: who is next. It holds only what the store has; the store decides who may enter."""

import asyncio
from dataclasses import dataclass

from bot.store import Job, JobState, Limits, NewJob, Origin, Store


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted job and its place: 1 is painted now, 2 is next."""

    job: Job
    position: int


class JobQueue:
    """First come, first served. A job is accepted, then released once its person was told.

    Between the two the consumer leaves it alone, so that no progress overtakes the acknowledgement.
    """

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self._store = store
        self._limits = limits
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._line: dict[str, None] = {}
        self._newcomers: asyncio.Queue[str] = asyncio.Queue()

    async def accept(self, new: NewJob) -> Ticket:
        """Store `new` as pending; raises Refused when the queue or the user's share is full."""
        job = await self._store.accept(new, self._limits)
        self._line[job.id] = None
        return Ticket(job, len(self._line))

    def release(self, job_id: str) -> None:
        """Let the consumer have it."""
        self._ready.put_nowait(job_id)
        self._newcomers.put_nowait(job_id)

    async def newcomer(self) -> Job | None:
        """Wait for the next job that is released; None if its turn came at once."""
        job = await self._store.find(await self._newcomers.get())
        return job if job and job.state is JobState.PENDING else None

    async def resume(self, origin: Origin) -> tuple[tuple[Ticket, ...], tuple[Job, ...]]:
        """At start: line up what an earlier run left pending, in its old order, released.

        Returns those tickets, and the jobs given up because the process died of them too often.
        """
        await self._store.recover(origin)
        tickets, given_up = [], []
        for job in await self._store.jobs_in(JobState.PENDING, origin):
            if poison := job.poison:
                failed = await self._store.fail(job, poison)
                given_up += [failed] if failed else []
                continue
            self._line[job.id] = None
            self.release(job.id)
            tickets.append(Ticket(job, len(self._line)))
        return tuple(tickets), tuple(given_up)

    async def next(self) -> Job:
        """Wait for the next job and start it: it is *running* when this returns."""
        while True:
            job_id = await self._ready.get()
            starting = asyncio.ensure_future(self._store.start(job_id))
            try:
                job = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # Nobody is left to paint it: it waits again.
                if (started := await starting) is not None:
                    await self._store.requeue(started)
                raise
            except Exception:
                self.release(job_id)
                raise
            if job is not None:
                return job
            self.leave(job_id)

    async def abandon(self, ticket: Ticket) -> None:
        """Take back an accepted job that was not released, because its person cannot be told."""
        if cancelled := await self._store.cancel(ticket.job):
            await self._store.tell(cancelled)
        self.leave(ticket.job.id)

    def leave(self, job_id: str) -> None:
        """The job has ended; everyone behind it moves up."""
        self._line.pop(job_id, None)

    def places(self) -> dict[str, int]:
        """Everyone in line with their place, the running one included."""
        return {job_id: place for place, job_id in enumerate(self._line, start=1)}
