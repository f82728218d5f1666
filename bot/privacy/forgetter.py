"""Forgetter: erases what people asked to have forgotten, and what is not kept any longer."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from bot.errors import StoreError
from bot.files.inputs import Inputs
from bot.files.thumbnails import drop_thumbnails
from bot.store import Answer, Erasable, Failure, Forgetting, Job, JobState, Span, Store, now_ms

log = logging.getLogger(__name__)

LOOK: Final = 60.0
"""Seconds between two looks whether something is left to do."""
PAUSE: Final = 0.25
"""Seconds between two looks whether jobs that were cancelled have ended."""
DELIVERED_WITHIN_MS: Final = 30_000
"""How long a finished job may take to be delivered before it is erased undelivered."""
SMALL: Final = 64 * 1024**2
"""Bytes of a database that is rewritten at once: writes wait for less than a second."""
SHARE: Final = 10
"""Between two rewritings there are at least so many times as long as the last one took."""
TRACES_MS: Final = 24 * 60 * 60 * 1000
"""How long a larger one may have traces of what was deleted while there is always work."""


class _Outcome(Enum):
    """Of an attempt to carry out a request."""

    DONE = auto()
    WAITING = auto()  # jobs that were cancelled, or are being delivered, have still to end
    STUCK = auto()  # it failed, or files cannot be deleted


class Forgetter:
    """Carries out what is in the store; what a process leaves undone, the next one does.

    withdraw: cancels a job that waits or runs. idle: whether no job waits or runs. forgotten: gets
    each person whose settings are deleted, as they may be in memory.
    """

    def __init__(
        self,
        store: Store,
        *,
        images_dir: Path,
        inputs: Inputs,
        database: Path,
        withdraw: Callable[[str], Awaitable[object]],
        idle: Callable[[], bool],
        forgotten: Callable[[str], None] = lambda person: None,
    ) -> None:
        self._store = store
        self._forgettings = store.personal.forgettings
        self._images_dir = images_dir
        self._inputs = inputs
        self._database = database
        self._withdraw = withdraw
        self._idle = idle
        self._forgotten = forgotten
        self._asked = asyncio.Event()
        self._done: dict[str, asyncio.Event] = {}
        self._erased: list[Callable[[], None]] = []
        self._ended: list[Callable[[Forgetting], None]] = []
        self._sending: Callable[[], Collection[str]] = frozenset
        self._carried_out: list[Forgetting] = []
        # What a process before this one left may have been asked for.
        self._promised = True
        self._not_before = 0.0

    def on_erased(self, erased: Callable[[], None]) -> None:
        """Call `erased`, which must return at once, when messages are to be deleted."""
        self._erased.append(erased)

    def on_ended(self, ended: Callable[[Forgetting], None]) -> None:
        """Call `ended`, which must return at once, when a request is carried out."""
        self._ended.append(ended)

    def wait_for(self, sending: Callable[[], Collection[str]]) -> None:
        """Erase no job while `sending` has its ID: it is not known in which message it will be."""
        self._sending = sending

    async def forget(
        self, person: str, span: Span, *, hand_over: bool, answer: Answer | None = None
    ) -> asyncio.Event:
        """Have what is stored of `person` in that span erased; returns what is set afterwards.

        hand_over: whether presets shared with a server stay there, without a name. answer: where
        they are told. Once this returns, it is done even if the process dies.
        """
        request = await self._forgettings.begin(person, span, hand_over=hand_over, answer=answer)
        done = self._done[request.id] = asyncio.Event()
        self._asked.set()
        return done

    async def has_traces(self) -> bool:
        """Whether the database's file may still have remains of what was deleted."""
        return await self._forgettings.traces() is not None

    async def run(self) -> None:
        """Run until cancelled. Failures are logged, and tried again."""
        while True:
            self._asked.clear()
            waiting = False
            try:
                waiting = await self.catch_up()
            except (StoreError, OSError) as error:
                log.error("what is to be forgotten is still there: %s", error)
            except Exception:
                log.exception("forgetting failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE if waiting else LOOK):
                    await self._asked.wait()

    async def catch_up(self) -> bool:
        """Do what can be done now; returns whether there is more to do soon.

        A request that fails is logged, and the others are carried out. Raises StoreError and
        OSError.
        """
        requests = await self._forgettings.waiting()
        carried_out, stuck = list[Forgetting](), 0
        for request in requests:
            try:
                outcome = await self._carry_out(request)
            except Exception:  # whatever is wrong with it, the others are not to wait for it
                log.exception("request %s: what is to be forgotten is still there", request.id)
                outcome = _Outcome.STUCK
            match outcome:
                case _Outcome.DONE:
                    carried_out.append(request)
                case _Outcome.STUCK:
                    stuck += 1
        await self._drop_inputs()
        self._carried_out += carried_out
        self._promised |= bool(carried_out)
        if len(carried_out) < len(requests) - stuck:
            return True
        small = (await asyncio.to_thread(self._database.stat)).st_size <= SMALL
        if await self._rewrite(asked=small and bool(self._carried_out)):
            return True
        for request in self._carried_out:
            if (done := self._done.pop(request.id, None)) is not None:
                done.set()
            for ended in self._ended:
                ended(request)
        self._carried_out.clear()
        return False

    async def outdated(self, before: int) -> int:
        """Erase jobs from before that time, in ms, with their files; returns how many.

        Their messages stay, and so do people's favourites.
        """
        count, stuck = 0, set[str]()
        while jobs := await self._forgettings.outdated(before, stuck):
            erased = await self._erase(jobs, messages=False)
            stuck |= {job.job_id for job in jobs} - erased
            count += len(erased)
        await self._drop_inputs()
        return count

    async def _carry_out(self, request: Forgetting) -> "_Outcome":
        count, stuck = 0, set[str]()
        while jobs := await self._forgettings.erasable(request, {*self._sending(), *stuck}):
            erased_now = await self._erase(jobs, asked=request.id)
            stuck |= {job.job_id for job in jobs} - erased_now
            count += len(erased_now)
        held = {*self._sending(), *stuck}
        if still_open := await self._forgettings.open_jobs(request, held):
            for job in still_open:
                if job.id not in held:
                    await self._end(job)
        else:
            await self._forgettings.finish(request)
            self._forgotten(request.person)
        if count:
            # Not whose: a log is kept elsewhere.
            log.info("forgotten as asked: %d jobs", count)
            for erased in self._erased:
                erased()
        if not still_open:
            return _Outcome.DONE
        return _Outcome.STUCK if {job.id for job in still_open} <= stuck else _Outcome.WAITING

    async def _end(self, job: Job) -> None:
        if job.state in (JobState.PENDING, JobState.RUNNING):
            await self._withdraw(job.id)
        elif job.state is JobState.DONE:
            late = (job.finished_at or job.created_at) < now_ms() - DELIVERED_WITHIN_MS
            if late and (ended := await self._store.fail(job, Failure("delivery.gone", {}))):
                await self._store.tell(ended)

    async def _erase(
        self, jobs: Sequence[Erasable], *, messages: bool = True, asked: str | None = None
    ) -> set[str]:
        """Returns the IDs of those that are erased: one whose files cannot be deleted stays."""
        try:
            await asyncio.to_thread(self._delete_files, jobs)
        except OSError as error:
            if len(jobs) > 1:
                each = [await self._erase([job], messages=messages, asked=asked) for job in jobs]
                return set().union(*each)
            log.error("job %s: its files cannot be deleted: %s", jobs[0].job_id, error.strerror)
            return set()
        await self._forgettings.erase(jobs, messages=messages, asked=asked)
        return {job.job_id for job in jobs}

    def _delete_files(self, jobs: Sequence[Erasable]) -> None:
        """Paths outside the folder of images are left alone. Raises OSError."""
        root = self._images_dir.resolve()
        for job in jobs:
            for file in job.files:
                path = (root / file).resolve()
                if path.is_relative_to(root):
                    path.unlink(missing_ok=True)
            # A job that died may have left files that no row knows.
            folder = (root / job.job_id).resolve()
            if folder.parent == root and folder.is_dir():
                shutil.rmtree(folder)
        drop_thumbnails(self._images_dir, [job.job_id for job in jobs])

    async def _drop_inputs(self) -> None:
        """Delete input images that no job refers to any more."""
        for sha256 in await self._forgettings.inputs():
            asked_at = now_ms()  # whoever gives it from now on has another one
            used = await self._store.input_uses.of(sha256) is not None
            if not used and not await self._forgettings.is_uploaded(sha256):
                try:
                    await self._inputs.drop(self._inputs.path(sha256).name, asked_at)
                except OSError as error:
                    log.error("an input image cannot be deleted: %s", error.strerror)
                    continue
                except ValueError:
                    log.warning("the name of an input image is damaged")
            await self._forgettings.drop_input(sha256)

    async def _rewrite(self, *, asked: bool) -> bool:
        """Rewrite the database if it is time to; returns whether it is too soon to.

        asked: whether someone waits for it.
        """
        if (since := await self._forgettings.traces()) is None:
            return False
        now_and_then = self._promised and self._idle()
        if not asked and not now_and_then and since > now_ms() - TRACES_MS:
            return False
        if time.monotonic() < self._not_before:
            return True
        begin = time.monotonic()
        # What was removed from the index of prompts stays there until it is merged.
        await self._store.history.forget()
        await self._forgettings.rewrite()
        self._promised = False
        took = time.monotonic() - begin
        self._not_before = begin + took * (SHARE + 1)
        log.info("the database was rewritten without what was deleted, in %.1f s", took)
        return False
