"""Waiting for a job as AUTOMATIC1111's clients do: they hold the line until it is painted."""

import asyncio
import base64
import logging
from pathlib import Path

from fastapi import Request

from bot.api.desk import Desk
from bot.store import ApiKey, Job

log = logging.getLogger(__name__)


async def ended(request: Request, desk: Desk, caller: ApiKey, job: Job) -> Job:
    """Wait until the job has ended; it is cancelled if the caller hangs up.

    When this process ends instead, the job stays, and is painted after the next start.
    """
    waiting = asyncio.ensure_future(_end(desk, caller, job.id))
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        log.info("job %s: the caller hung up", job.id)
        return await desk.cancel(caller, job.id)
    finally:
        waiting.cancel()
        leaving.cancel()


async def files(desk: Desk, caller: ApiKey, job: Job, count: int) -> list[str]:
    """The job's images in base64."""
    paths = [(await desk.image(caller, job.id, n + 1))[2] for n in range(count)]
    return await asyncio.to_thread(lambda: [_text(path) for path in paths])


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


async def _end(desk: Desk, caller: ApiKey, job_id: str) -> Job:
    async with desk.following(caller, job_id) as (_, feed):
        while await feed.next() is not None:
            pass
    return await desk.job(caller, job_id)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
