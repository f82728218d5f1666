"""What of SAQ is used, and what of it is not: each change has its reason with it."""

import logging
from typing import Any, Final

from redis.asyncio import Redis
from saq import Job, Status, Worker
from saq.queue.redis import RedisQueue

from bot.errors import WireError
from bot.log import without_messages

FUNCTION: Final = "paint"
SAQ_JOB_MAX: Final = 65_536
"""Bytes of a job as SAQ keeps it; what is large has keys of its own."""
HEARTBEAT: Final = 15
"""Seconds, for whoever looks at the broker with SAQ's own page."""


_ENDING: Final = (
    "Some tasks did not finish within the shutdown grace period, requesting cancellation"
)
"""What SAQ warns of whenever it ends: by then, its tasks only sleep."""


class DeviceQueue(RedisQueue):
    """The queue of one device of a worker, at either end."""

    def __init__(self, client: Redis, name: str) -> None:
        super().__init__(client, name=name)

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        """Nothing.

        It would compare a time that another machine wrote with this one's clock, and it puts back a
        job that is just being taken: one that has left the queue and is not yet active. The bot
        sees by itself what becomes of what it waits for.
        """
        return []

    async def schedule(self, lock: int = 1) -> list[str]:
        """Nothing: no job is for later. So a worker needs no right to run scripts."""
        return []

    async def _get_job_by_id(self, job_id: bytes | str) -> Job | None:
        """Without reading more of it than a job has: a worker may have written anything there."""
        data = await self.redis.getrange(job_id, 0, SAQ_JOB_MAX)
        if len(data) > SAQ_JOB_MAX:
            raise WireError(f"job: more than {SAQ_JOB_MAX} bytes")
        try:
            job = self.deserialize(data)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise WireError(f"job: not as SAQ writes it ({type(error).__name__})") from None
        if job is not None and not (isinstance(job.meta, dict) and isinstance(job.status, Status)):
            raise WireError("job: not as SAQ writes it (meta or status)")
        return job


class DeviceWorker(Worker[Any]):
    """Takes one job after the other. Signals are left to whoever started it: SAQ would put a job
    that they interrupt back into its own queue."""

    SIGNALS = []  # noqa: RUF012


def keep_quiet() -> None:
    """Have SAQ log what is wrong, without whatever a job has been given."""
    logger = logging.getLogger("saq")
    logger.setLevel(logging.WARNING)
    if _plain not in logger.filters:
        logger.addFilter(_plain)


def _plain(record: logging.LogRecord) -> bool:
    if record.msg == _ENDING:
        return False
    if isinstance(record.args, tuple):
        record.args = tuple(each.key if isinstance(each, Job) else each for each in record.args)
    return without_messages(record)
