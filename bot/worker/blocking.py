"""Blocking: who may no longer use the bot, from now on and with what they are waiting for."""

import logging

from bot.errors import JobFailed, Refused
from bot.queue import JobQueue
from bot.store import ORIGINS, Failure, Job, JobState, Store
from bot.store.blocks import BlockKind
from bot.worker.workers import Workers

log = logging.getLogger(__name__)


class Blocking:
    """Changes the blocks in the store, and keeps what the queue knows of them in step."""

    def __init__(self, store: Store, queue: JobQueue, workers: Workers) -> None:
        self._store = store
        self._queue = queue
        self._workers = workers

    async def load(self) -> None:
        """At start-up, and after a change: what the store has."""
        self._queue.blocked.hold(await self._store.blocks.all())

    async def block(self, kind: BlockKind, blocked: str, *, within: str, actor: str) -> bool:
        """Block a person or server, and end their jobs; returns False if they were blocked."""
        added = await self._store.blocks.add(kind, blocked, within=within, actor=actor)
        await self.enforce()
        return added

    async def unblock(self, kind: BlockKind, blocked: str, *, within: str, actor: str) -> bool:
        """Returns False if they were not blocked."""
        removed = await self._store.blocks.remove(kind, blocked, within=within, actor=actor)
        await self.load()
        return removed

    async def enforce(self) -> None:
        """From now on refuse whom the store says is blocked, and end what they asked for before.

        At start-up as well: the process before may have ended between the two.
        """
        await self.load()
        for state in (JobState.PENDING, JobState.RUNNING):
            for job in await self._store.jobs_in(state, tuple(ORIGINS)):
                if (why := self._refusal(job)) is not None:
                    log.info("job %s: withdrawn, since who asked for it is blocked", job.id)
                    await self._workers.withdraw(job.id, Failure(why, {}))

    async def permit(self, job: Job) -> None:
        """Raise JobFailed if who asked for it is blocked by now."""
        if (why := self._refusal(job)) is not None:
            raise JobFailed(why)

    def _refusal(self, job: Job) -> str | None:
        try:
            self._queue.check_not_blocked(job.person, job.community)
        except Refused as refused:
            return refused.code
        return None
