"""The command line beside a running bot: hands its job over, and waits for the end."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

from bot.handover import LINE_MAX, VERSION, encoded, progress_of, socket_path
from bot.progress import Progress

PATIENCE: Final = 60.0
"""Seconds that a bot which has ended is given to start again."""
PAUSE: Final = 0.5


class RefusedByBot(Exception):
    """The bot does not take the job; the text says why."""


class BotGone(Exception):
    """The bot ended before the job did, and did not come back."""


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

    async def hand_over(
        self, draft: Mapping[str, Any], pictures: Mapping[str, bytes]
    ) -> str | None:
        """Returns the id of the accepted job; None if the bot is of another version, or has ended.

        draft: as JSON; pictures: files, by the option's name. Raises RefusedByBot.
        """
        files = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
        return await self._begin({"draft": draft, "pictures": files})

    async def wait(self, job_id: str, report: Callable[[Progress], None]) -> None:
        """Wait for the end of a job that was accepted, also if the bot is restarted meanwhile.

        Raises BotGone.
        """
        while not await self._ended(report):
            await self._again(job_id)

    def cancel(self) -> None:
        """Ask the bot to cancel the job."""
        self._writer.write(encoded({"cancel": True}))

    async def _begin(self, message: Mapping[str, Any]) -> str | None:
        try:
            self._writer.write(encoded({"version": VERSION, **message}))
            await self._writer.drain()
        except ConnectionError:
            return None
        answer = await self._read()
        if answer is not None and "refused" in answer:
            raise RefusedByBot(answer["refused"])
        return None if answer is None else str(answer["accepted"])

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
                    if await self._begin({"follow": job_id}) is not None:
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
