"""The command line without a running bot: generates in this process."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

from bot.api.describing import record
from bot.backend import Backend
from bot.cli import reading
from bot.cli.asked import Asked
from bot.cli.result import NotDone, Result, placed
from bot.cli.watching import Watcher
from bot.errors import InvalidRequest, Refused
from bot.files.inputs import Inputs
from bot.process.lock import Claims
from bot.request import Composed, Draft, Picture, compose_with_notes
from bot.settings import Settings
from bot.store import CommandLine, Job, JobState, NewJob, Store


async def generate_here(
    asked: Asked, settings: Settings, watcher: Watcher, stop: asyncio.Event
) -> Result:
    """Generate through a queue, workers and an engine of its own.

    Raises InvalidRequest, Refused, NotDone.
    """
    async with (
        Backend.open(settings, demos="offered", one_lane=True) as backend,
        AsyncExitStack() as until_the_end,
    ):
        try:
            kept = {name: await _kept(backend.inputs, name, asked) for name in asked.pictures}
            draft = asked.draft.with_pictures(kept)
            composed = await _composed(draft, backend)
            new = NewJob(request=composed.request, origin=CommandLine(), warnings=composed.notes)
            # Unclaimed, the job would look abandoned to a bot that starts meanwhile.
            until_the_end.enter_context(Claims(settings.data_dir.absolute()).held(new.id))
            ticket = await backend.queue.accept(new)
        except OSError as error:
            raise NotDone(f"{error.filename}: cannot be saved: {error.strerror}") from error
        workers = backend.workers(watcher)
        async with backend.generating(workers):
            backend.queue.release(ticket.job.id)
            waits: list[asyncio.Task[Any]] = [
                asyncio.create_task(event.wait()) for event in (watcher.ended, stop)
            ]
            waits.append(lost := asyncio.create_task(workers.lost()))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                print(lost.result(), file=sys.stderr)
            for wait in waits:
                wait.cancel()
            workers.cancel(ticket.job.id)
        job = await _conclude(backend.store, ticket.job.id)
        return await stored(backend.store, job, asked, settings, watcher)


async def stored(
    store: Store, job: Job, asked: Asked, settings: Settings, watcher: Watcher
) -> Result:
    """The result of a job that has ended, in this data folder."""
    images = await store.images(job.id)
    sources = [settings.images_dir.absolute() / image.path for image in images]
    return Result(record(job, images, watcher.say), placed(sources, asked.out, job.id))


async def _composed(draft: Draft, backend: Backend) -> Composed:
    """Raises InvalidRequest or Refused."""
    catalog = await backend.catalog.knowing(*draft.names)
    most = backend.settings.max_adapters
    hashes = await backend.store.known_weights.hashes(*draft.names)
    try:
        return compose_with_notes(draft, catalog, nsfw=True, adapters_max=most, hashes=hashes)
    except (InvalidRequest, Refused):
        if not catalog.unread:
            raise
    await asyncio.to_thread(backend.catalog.read_rest, reading.Progress())
    catalog = backend.catalog.current
    return compose_with_notes(draft, catalog, nsfw=True, adapters_max=most, hashes=hashes)


async def _kept(inputs: Inputs, field: str, asked: Asked) -> Picture:
    """Keep a copy of an image. Raises InvalidRequest, or OSError if that fails."""
    sha256 = await inputs.keep(asked.pictures[field], field)
    return Picture(sha256, *await inputs.size(sha256))


async def _conclude(store: Store, job_id: str) -> Job:
    """Mark a finished job as delivered, and an interrupted one as cancelled."""
    job = await store.job(job_id)
    if job.state is JobState.DONE:
        return await store.deliver(job) or job
    return await store.cancel(job) or job
