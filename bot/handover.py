"""Handover: a command line beside a running bot gives it the job, instead of loading a model too.

The bot listens on a Unix socket in its data folder, which only its owner may open. On a connection,
both sides write JSON objects, one per line. The command line begins with one of

    {"version", "kind", "draft", "pictures"}    a new job: which draft it is, that draft, and how
                                                many bytes its image files have
    {"version", "follow"}                       the id of a job that was handed over before

and may later write {"cancel": true}. The bot answers {"send": true} if there are image files, which
then follow as they are, one after another; and {"refused": sentence}, or {"accepted": job id}
followed by {"progress"} as often as there is news, and by {"ended": true} once the result is in the
store. A connection that ends early means that the other side has ended.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from pydantic import NonNegativeInt, TypeAdapter

from bot.asking import composed
from bot.backend import Backend
from bot.errors import Refused, StoreError, UserError
from bot.files.given import Keep, holding
from bot.files.inputs import check_file
from bot.progress import Progress, Stage
from bot.request import CONTROL_IMAGES, DRAFTS, EDITED, AnyDraft, Picture, kind_of
from bot.store import CommandLine, JobState, NewJob, files_error
from bot.texts.language import Say
from bot.worker.following import Feed, Following
from bot.worker.workers import Workers

log = logging.getLogger(__name__)

VERSION: Final = 6
"""Of the messages. A bot and a command line of different versions do not understand each other."""
LINE_MAX: Final = 2**20
"""Bytes of one message: a draft, which has only texts."""
PICTURES: Final = ("image", "mask", "reference", *EDITED, *CONTROL_IMAGES)
"""The fields of a draft for which there may be an image file."""
PATH_MAX: Final = 100
"""Bytes of the socket's path; the system allows 103 on macOS and 107 on Linux."""
ENDED: Final = (JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED)

_DRAFTS: Final = {kind: TypeAdapter[AnyDraft](form) for kind, form in DRAFTS.items()}
_SIZES: Final = TypeAdapter(dict[str, NonNegativeInt])


def socket_path(data_dir: Path) -> Path | None:
    """Where the bot listens; None where that is not possible."""
    path = data_dir.absolute() / "bot.sock"
    if not hasattr(asyncio, "start_unix_server") or len(bytes(path)) > PATH_MAX:
        return None
    return path


def encoded(message: Mapping[str, Any]) -> bytes:
    """One line of the conversation."""
    return json.dumps(message).encode() + b"\n"


def progress_of(message: Mapping[str, Any]) -> Progress:
    """What `{"progress"}` carries. A preview is not passed on."""
    return Progress(**{**message, "stage": Stage(message["stage"])})


@dataclass(frozen=True, slots=True)
class Handover:
    """The bot's side.

    following: observes the jobs of the command line. say: for what the command line prints.
    """

    backend: Backend
    workers: Workers
    following: Following
    say: Say

    @asynccontextmanager
    async def offered(self) -> AsyncIterator[None]:
        """Take jobs while the block lasts. Only one process at a time may do so in a folder."""
        path = socket_path(self.backend.settings.data_dir)
        if path is None:
            log.info(
                "command lines beside the bot will load their own models: no socket is possible"
            )
            yield
            return
        conversations: set[asyncio.Task[None]] = set()

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101
            conversations.add(task)
            try:
                await self._converse(reader, writer)
            finally:
                conversations.discard(task)
                writer.close()

        try:
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(converse, path, limit=LINE_MAX)
            path.chmod(0o600)
        except OSError as error:
            log.warning(
                "command lines beside the bot will load their own models: %s: %s", path, error
            )
            yield
            return
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
            for conversation in conversations:
                conversation.cancel()
            if conversations:
                await asyncio.wait(conversations)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            message = json.loads(await _line(reader))
            if message["version"] != VERSION:
                return
            if "follow" in message:
                await self._follow(str(message["follow"]), reader, writer)
            else:
                await self._accept(message, reader, writer)
        except EOFError:
            log.info("a command line beside the bot ended before its job was accepted")
        except (ConnectionError, LookupError, TypeError, ValueError, RecursionError) as error:
            # The content of a message may be a prompt.
            log.warning("a command line beside the bot: %s", type(error).__name__)
        except (UserError, StoreError) as error:
            sentence = (
                self.say(error.code, **error.params) if isinstance(error, UserError) else str(error)
            )
            with suppress(ConnectionError):
                await _write(writer, {"refused": sentence})

    async def _accept(
        self, message: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        backend = self.backend
        draft = _DRAFTS[message["kind"]].validate_python(message["draft"])
        files = await _files(message["pictures"], reader, writer)
        async with AsyncExitStack() as until_the_end:
            async with holding(backend.store, backend.inputs) as keep:
                kept = {name: await self._picture(name, files[name], keep) for name in files}
                draft = draft.with_pictures(kept)
                found = await composed(draft, backend, nsfw=True)
                new = NewJob(
                    request=found.request,
                    origin=CommandLine(),
                    kind=kind_of(draft),
                    warnings=found.notes,
                )
                feed = until_the_end.enter_context(self.following.follow(new.id))
                async with backend.queue.accepting(new):
                    await _write(writer, {"accepted": new.id})
            await self._report(new.id, feed, reader, writer)

    async def _picture(self, field: str, file: bytes, keep: Keep) -> Picture:
        try:
            sha256 = await keep(file, field)
        except OSError as error:
            raise files_error(self.backend.settings.inputs_dir, error) from error
        return Picture(sha256, *await self.backend.inputs.size(sha256))

    async def _follow(
        self, job_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with self.following.follow(job_id) as feed:
            job = await self.backend.store.find(job_id)
            if job is None or job.origin.name != CommandLine.name:
                return
            await _write(writer, {"accepted": job_id})
            if job.state in ENDED:
                feed.end()
            await self._report(job_id, feed, reader, writer)

    async def _report(
        self,
        job_id: str,
        feed: Feed,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Write the news of a job until it has ended or the command line is gone."""
        listening = asyncio.create_task(self._listen(job_id, reader))
        try:
            while (progress := await feed.next()) is not None:
                await _write(writer, {"progress": _as_message(progress)})
            await _write(writer, {"ended": True})
        finally:
            listening.cancel()

    async def _listen(self, job_id: str, reader: asyncio.StreamReader) -> None:
        """Cancel the job when asked to. A command line that was killed leaves its job behind."""
        try:
            if await reader.readline():
                await self.workers.withdraw(job_id)
        except ConnectionError:
            pass
        except StoreError as error:
            log.error("job %s: cannot be cancelled: %s", job_id, error)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The first message. Raises Refused if it is too long, once all of it was read: whoever is
    still writing would not get the answer."""
    long = False
    while True:
        try:
            line = await reader.readuntil()
        except asyncio.LimitOverrunError as error:
            await reader.readexactly(error.consumed)
            long = True
            continue
        if long:
            raise Refused("api.http.large")
        return line


async def _files(
    announced: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> dict[str, bytes]:
    """The image files of a job, by the draft's field. announced: their sizes.

    All are read before any is looked at, as above. Raises InvalidRequest if one is too large.
    """
    sizes = _SIZES.validate_python(announced)
    for name, size in sizes.items():
        if name not in PICTURES:
            raise LookupError(name)
        check_file(name, size=size)
    if sizes:
        await _write(writer, {"send": True})
    return {name: await _exactly(reader, size) for name, size in sizes.items()}


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    """As `readexactly`, which would copy a whole image at once in the event loop."""
    parts = []
    while size:
        if not (part := await reader.read(size)):
            raise EOFError
        parts.append(part)
        size -= len(part)
    return await asyncio.to_thread(b"".join, parts)


async def _write(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    writer.write(encoded(message))
    await writer.drain()


def _as_message(progress: Progress) -> dict[str, Any]:
    known = (own.name for own in fields(progress) if own.name != "preview")
    return {name: getattr(progress, name) for name in known}
