"""Images that come with a command."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Final, Self

import aiohttp
import discord

from bot.chat.client import ImagenBot
from bot.errors import InvalidRequest
from bot.files.given import Keep, holding
from bot.files.inputs import Inputs, check_file
from bot.request import Picture
from bot.settings.image_check import ImageCheck
from bot.store import Store
from bot.worker.image_check import Inspector

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT: Final = 60.0
"""Seconds allowed for fetching one attachment."""
DOWNLOADS: Final = 4
"""Concurrent downloads of a command: each may take 20 MB of memory."""


def promised(field: str, attachment: discord.Attachment) -> Picture:
    """The image as Discord describes it, to validate the request before downloading it.

    Raises InvalidRequest if the description is already not acceptable.
    """
    width, height = attachment.width, attachment.height
    check_file(
        field,
        size=attachment.size,
        content_type=attachment.content_type,
        width=width,
        height=height,
    )
    return Picture("", width or 1, height or 1, measured=bool(width and height))


class Attachments:
    """Downloads attachments and stores them as input images."""

    def __init__(self, store: Store, inputs: Inputs, inspector: Inspector) -> None:
        self._store = store
        self._inputs = inputs
        self._inspector = inspector
        self._downloads = asyncio.Semaphore(DOWNLOADS)

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        """With the parts of `bot`."""
        backend = bot.services.backend
        return cls(backend.store, backend.inputs, backend.inspector)

    def holding(self) -> AbstractAsyncContextManager[Keep]:
        """See bot.files.given."""
        return holding(self._store, self._inputs)

    async def fetch(
        self, field: str, attachment: discord.Attachment, keep: Keep, mode: ImageCheck
    ) -> Picture:
        """Download and store one. mode: of the image check.

        Raises InvalidRequest if that fails, or it may not be used.
        """
        try:
            async with self._downloads, asyncio.timeout(DOWNLOAD_TIMEOUT):
                data = await attachment.read()
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("cannot download an attachment: %s", type(error).__name__)
            raise InvalidRequest(field, "picture.unreachable") from error
        sha256 = await keep(data, field)
        await self._inspector.check_input(mode, self._inputs.path(sha256), field)
        return Picture(sha256, *await self._inputs.size(sha256))
