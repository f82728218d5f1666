"""The command line beside a running bot: hands its job over, and waits for the end."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Self

from bot.cli.asked import Asked
from bot.cli.here import stored
from bot.cli.result import BAD_REQUEST, NotDone, Result
from bot.cli.watching import Watcher, until_ended
from bot.handover import LINE_MAX, VERSION, encoded, progress_of, socket_path
from bot.progress import Progress
from bot.request import AnyDraft, kind_of
from bot.settings import Settings
from bot.store import Store

PATIENCE: Final = 60.0
"""Seconds that a bot which has ended is given to start again."""
PAUSE: Final = 0.5


class BotGone(Exception):
    """The bot ended before the job did, and did not come back."""


async def generate_beside(
    asked: Asked, settings: Settings, watcher: Watcher, stop: asyncio.Event
) -> Result | None:
    """Let the bot that runs on this data folder generate; None if there is none that can.

    Raises NotDone.
    """
    if (bot := await BesideBot.connect(settings.data_dir)) is None:
        return None
    if (job_id := await bot.hand_over(asked.draft, asked.pictures)) is None:
        return None
    try:
        await until_ended(bot.wait(job_id, watcher.show), stop, bot.cancel)
    except BotGone:
        raise NotDone(
            f"The bot has stopped. When it starts again, it will go on with job {job_id} and keep "
            f"the images in {settings.images_dir.absolute()}"
        ) from None
    async with Store.open(settings.database.absolute()) as store:
        return await stored(store, await store.job(job_id), asked, settings, watcher)


class BesideBot:
    """A connection to the bot that runs on a data folder."""

    def __init__(
        self, data_dir: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._data_dir = data_dir
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, data_dir: Path) -> Self | None:
        """None if no bot runs there, or none that can be reached."""
        if (path := socket_path(data_dir)) is None:
            return None
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_MAX)
        except OSError:
            return None
        return cls(data_dir, reader, writer)

    async def hand_over(self, draft: AnyDraft, pictures: Mapping[str, bytes]) -> str | None:
        """Returns the id of the accepted job; None if the bot is of another version, or has ended.

        pictures: files, by the option's name. Raises NotDone if the bot does not take the job.
        """
        sizes = {name: len(data) for name, data in pictures.items()}
        asked = {"kind": kind_of(draft), "draft": asdict(draft), "pictures": sizes}
        answer = await self._ask(_begin(asked))
        if answer is not None and "send" in answer:
            answer = await self._ask(*pictures.values())
        return None if answer is None else str(answer["accepted"])

    async def wait(self, job_id: str, report: Callable[[Progress], None]) -> None:
        """Wait for the end of a job that was accepted, also if the bot is restarted meanwhile.

        Raises BotGone.
        """
        while not await self._ended(report):
            await self._again(job_id)

    async def cancel(self) -> None:
        """Ask the bot to cancel the job."""
        self._writer.write(encoded({"cancel": True}))

    async def _ask(self, *written: bytes) -> dict[str, Any] | None:
        """The answer to what is written; None if there is none. Raises NotDone."""
        try:
            for data in written:
                self._writer.write(data)
                await self._writer.drain()
        except ConnectionError:
            return None
        answer = await self._read()
        if answer is not None and "refused" in answer:
            raise NotDone(answer["refused"], BAD_REQUEST)
        return answer

    async def _ended(self, report: Callable[[Progress], None]) -> bool:
        """Report until the job has ended; False if the bot ended first."""
        while (message := await self._read()) is not None:
            if "ended" in message:
                return True
            report(progress_of(message["progress"]))
        return False

    async def _again(self, job_id: str) -> None:
        """Connect to the bot that has taken the place of the last one."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    await asyncio.sleep(PAUSE)
                    if (bot := await self.connect(self._data_dir)) is None:
                        continue
                    self._writer.close()
                    self._reader, self._writer = bot._reader, bot._writer  # noqa: SLF001
                    if await self._ask(_begin({"follow": job_id})) is not None:
                        return
        except TimeoutError:
            raise BotGone(job_id) from None

    async def _read(self) -> dict[str, Any] | None:
        """The next message; None if the bot has ended."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return dict(json.loads(line)) if line.endswith(b"\n") else None


def _begin(message: Mapping[str, Any]) -> bytes:
    """The first line of a conversation."""
    return encoded({"version": VERSION, **message})
