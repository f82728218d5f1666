"""`main.py imagine`: run one job through the bot's own queue, workers, engine and store."""

import argparse
import asyncio
import json
import shutil
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.backend import Backend
from bot.errors import InvalidRequest, Refused
from bot.files.inputs import Inputs, check_file
from bot.process.lock import Claims
from bot.process.signals import stop_on_signals
from bot.progress import Progress
from bot.request import Draft, Picture, compose
from bot.settings import Settings
from bot.store import CommandLine, ImageRecord, Job, JobState, NewJob, Store
from bot.texts.language import Say, Texts
from bot.texts.lines import status_line

DONE, JOB_FAILED, BAD_REQUEST = 0, 1, 2


async def imagine(options: argparse.Namespace, settings: Settings) -> int:
    """Generate what `options` ask for; returns the exit code."""
    say = Texts.read().speaker()
    if options.out is not None:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"--out: cannot create folder {options.out}: {error.strerror}", file=sys.stderr)
            return BAD_REQUEST
    stop = stop_on_signals(exit_code=JOB_FAILED)
    async with (
        Backend.open(settings, demos="offered") as backend,
        AsyncExitStack() as until_the_end,
    ):
        try:
            draft = Draft.from_options(
                vars(options),
                lora=", ".join(options.lora) or None,
                image=await _picture(backend.inputs, "image", options.image),
                reference=await _picture(backend.inputs, "reference", options.reference),
            )
            request = compose(
                draft, backend.catalog.current, nsfw=True, adapters_max=settings.max_adapters
            )
            new = NewJob(request=request, origin=CommandLine())
            # Unclaimed, the job would look abandoned to a bot that starts meanwhile.
            until_the_end.enter_context(Claims(settings.data_dir.absolute()).held(new.id))
            ticket = await backend.queue.accept(new)
        except (InvalidRequest, Refused) as error:
            print(say(error.code, **error.params), file=sys.stderr)
            return BAD_REQUEST
        except OSError as error:
            print(f"{error.filename}: cannot be saved: {error.strerror}", file=sys.stderr)
            return JOB_FAILED
        watcher = _Watcher(say, bar=sys.stderr.isatty())
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
        images = await backend.store.images(job.id)
        shown = _placed(images, settings.images_dir.absolute(), options.out, job.id)
        if options.json:
            print(json.dumps(_as_json(say, job, images, shown), ensure_ascii=False, indent=2))
        else:
            _print(say, job, images, shown)
        return DONE if job.state is JobState.DELIVERED else JOB_FAILED


async def _picture(inputs: Inputs, field: str, file: Path | None) -> Picture | None:
    """Keep a copy of the image in `file`. Raises InvalidRequest, or OSError if that fails."""
    if file is None:
        return None
    try:
        data = await asyncio.to_thread(_read, field, file)
    except OSError as error:
        raise InvalidRequest(
            field, "picture.unreadable", value=str(file), reason=error.strerror or "I/O error"
        ) from None
    sha256 = await inputs.keep(data, field)
    return Picture(sha256, *await inputs.size(sha256))


def _read(field: str, file: Path) -> bytes:
    # The size first, so that an oversized file is never read.
    check_file(field, size=file.stat().st_size)
    return file.read_bytes()


class _Watcher:
    """A JobObserver for a terminal; `ended` is set when the job is over."""

    def __init__(self, say: Say, *, bar: bool) -> None:
        self._say = say
        self._bar = bar
        self._shown = ""
        self.ended = asyncio.Event()

    def moved(self, places: dict[str, Progress]) -> None:
        """No other user waits in this queue."""

    def progressed(self, job: Job, progress: Progress) -> None:
        line = status_line(self._say, progress)
        if self._bar and line != self._shown:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._shown = line

    async def finished(self, job: Job) -> None:
        self._end()

    async def failed(self, job: Job) -> None:
        self._end()

    def _end(self) -> None:
        if self._bar:
            print("\r\033[K", end="", file=sys.stderr)
        self.ended.set()


async def _conclude(store: Store, job_id: str) -> Job:
    """Mark a finished job as delivered, and an interrupted one as cancelled."""
    job = await store.job(job_id)
    if job.state is JobState.DONE:
        return await store.deliver(job) or job
    return await store.cancel(job) or job


def _placed(
    images: tuple[ImageRecord, ...], folder: Path, out: Path | None, job_id: str
) -> list[Path]:
    """Each file's path; with `out`, that of a copy there that overwrites no other image."""
    paths = []
    for image in images:
        source = folder / image.path
        if out is not None:
            target = out.absolute() / source.name
            if target.exists() and target.read_bytes() != source.read_bytes():
                target = target.with_stem(f"{target.stem}-{job_id}")
            source = Path(shutil.copyfile(source, target))
        paths.append(source)
    return paths


def _as_json(
    say: Say, job: Job, images: tuple[ImageRecord, ...], paths: list[Path]
) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "status": "done" if job.state is JobState.DELIVERED else job.state.value,
        "seconds": job.seconds,
        "images": [
            {
                "path": str(path),
                "seed": image.seed,
                "width": image.width,
                "height": image.height,
                "sha256": image.sha256,
            }
            for image, path in zip(images, paths, strict=True)
        ],
        "recipe": job.recipe.to_dict() if job.recipe else None,
        "warnings": [
            {**asdict(notice), "text": say(notice.code, **notice.params)} for notice in job.warnings
        ],
        "error": job.error
        and {**asdict(job.error), "text": say(job.error.code, **job.error.params)},
    }


def _print(say: Say, job: Job, images: tuple[ImageRecord, ...], paths: list[Path]) -> None:
    for notice in job.warnings:
        print(say(notice.code, **notice.params), file=sys.stderr)
    for image, path in zip(images, paths, strict=True):
        seconds = job.seconds / len(images)
        print(f"{path}  model {job.request.model}  seed {image.seed}  {seconds:.1f} s")
    if job.error:
        print(say(job.error.code, **job.error.params), file=sys.stderr)
    elif job.state is JobState.CANCELLED:
        print(say("status.cancelled"), file=sys.stderr)
