"""Removal: deletes the messages of people who were forgotten, one after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import discord

from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.errors import StoreError
from bot.store import Store

log = logging.getLogger(__name__)

PACE: Final = 0.25
"""Seconds between two messages: thousands of them must not hold up what people wait for."""
LOOK: Final = 60.0
"""Seconds between two looks whether there are any, and between two attempts while Discord cannot be
reached."""
PAGE: Final = 100


class Removal:
    """Deletes what is in the store, which is known there until it is gone or cannot be deleted."""

    def __init__(
        self, client: discord.Client, store: Store, logged_in: Callable[[], Awaitable[object]]
    ) -> None:
        self._client = client
        self._forgettings = store.personal.forgettings
        self._logged_in = logged_in
        self._more = asyncio.Event()

    def wake(self) -> None:
        """There are messages to delete."""
        self._more.set()

    async def run(self) -> None:
        """Run until cancelled."""
        await self._logged_in()
        while True:
            self._more.clear()
            with suppress(StoreError):  # it is logged where it is raised by a write
                while messages := await self._forgettings.messages(PAGE):
                    if not await self._remove(messages):
                        break
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._more.wait()

    async def _remove(self, messages: list[tuple[int, int]]) -> bool:
        """Returns False if Discord cannot be reached now."""
        for channel_id, message_id in messages:
            channel = self._client.get_partial_messageable(channel_id)
            try:
                await channel.get_partial_message(message_id).delete()
            except Exception as error:
                meaning = refusal(error)
                if meaning in (Refusal.TRANSIENT, Refusal.BUSY):
                    log.info("messages are deleted later: %s", short(error))
                    return False
                if meaning is None:
                    # One that cannot be deleted must not keep the others.
                    log.exception("a message was not deleted")
                else:
                    log.info("a message was not deleted: %s", short(error))
            await self._forgettings.drop_message(message_id)
            await asyncio.sleep(PACE)
        return True
