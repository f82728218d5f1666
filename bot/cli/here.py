"""The command line without a running bot: generates in this process."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

from bot.api.describing import record
from bot.asking import composed
from bot.backend import Backend
from bot.cli import reading
from bot.cli.asked import Asked
from bot.cli.result import NotDone, Result, placed
from bot.cli.watching import Watcher
from bot.errors import InvalidRequest, Refused
from bot.files.inputs import Inputs
from bot.files.sheets.cancelling import CellsOfCancelled
from bot.process.lock import Claims
from bot.request import AnyDraft, Composed, Picture, kind_of
from bot.settings import Settings
from bot.store import CommandLine, Job, JobState, NewJob, Store, given_images


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
            found = await _composed(draft, backend)
            new = NewJob(
                request=found.request,
                origin=CommandLine(),
                kind=kind_of(draft),
                warnings=found.notes,
            )
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
        await CellsOfCancelled(backend.store, settings.images_dir.absolute()).failed(job)
        return await stored(backend.store, job, asked, settings, watcher)


async def stored(
    store: Store, job: Job, asked: Asked, settings: Settings, watcher: Watcher
) -> Result:
    """The result of a job that has ended, in this data folder."""
    images = given_images(job, await store.images(job.id))
    sources = [settings.images_dir.absolute() / image.path for image in images]
    return Result(record(job, images, watcher.say), placed(sources, asked.out, job.id))


async def _composed(draft: AnyDraft, backend: Backend) -> Composed:
    """Raises InvalidRequest or Refused."""
    catalog = await backend.catalog.knowing(*draft.names)
    try:
        return await composed(draft, backend, nsfw=True, catalog=catalog)
    except (InvalidRequest, Refused):
        if not catalog.unread:
            raise
    await asyncio.to_thread(backend.catalog.read_rest, reading.Progress())
    return await composed(draft, backend, nsfw=True, catalog=backend.catalog.current)


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
