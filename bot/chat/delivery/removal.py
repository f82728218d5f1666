"""Removal: deletes the messages of people who were forgotten, and those of deleted results that
could not be taken down at once, one after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import discord

from bot.chat.delivery.posts import (
    ChannelPost,
    InteractionPost,
    Post,
    answering,
    mention,
    notice,
)
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.errors import StoreError
from bot.store import Removable, Store
from bot.texts.language import Texts

log = logging.getLogger(__name__)

PACE: Final = 0.25
"""Seconds between two messages: thousands of them must not hold up what people wait for."""
LOOK: Final = 60.0
"""Seconds between two looks whether there are any, and between two attempts while Discord cannot be
reached."""
PAGE: Final = 100
AWAY: Final = 3
"""Messages for which Discord cannot be reached, one after the other, until it counts as away."""
UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_MESSAGE: Final = 10008


class Removal:
    """Deletes what is in the store.

    It is known there until it is gone, or whoever waits for it was told that it cannot be deleted.
    """

    def __init__(
        self,
        client: discord.Client,
        store: Store,
        texts: Texts,
        logged_in: Callable[[], Awaitable[object]],
        webhook: Callable[[str], discord.Webhook] | None = None,
    ) -> None:
        """webhook: builds one from an interaction's token; default discord.py's."""
        self._client = client
        self._forgettings = store.personal.forgettings
        self._deletions = store.deletions
        self._texts = texts
        self._logged_in = logged_in
        self._webhook = webhook or partial(answering, client)
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

    async def _remove(self, messages: Sequence[Removable]) -> bool:
        """Returns False if Discord cannot be reached now.

        A single message may be refused for long, which says nothing about the others.
        """
        away = 0
        for message in messages:
            match await self._delete(message):
                case None:
                    await self._forgettings.postpone_message(message.message_id)
                    away += 1
                    if away >= AWAY or len(messages) <= away:
                        return False
                    continue
                case True:
                    await self._forgettings.drop_message(message.message_id)
                case False:
                    await self._forgettings.refuse_message(message.message_id)
            away = 0
            await asyncio.sleep(PACE)
        return True

    async def _delete(self, message: Removable) -> bool | None:
        """Whether it is gone, or says who deleted its result; None if that is to be tried again
        later."""
        channel = self._client.get_partial_messageable(message.channel_id)
        ways: list[tuple[bool, Callable[[], Awaitable[object]]]] = []
        if (said := await self._notice(message)) is not None:
            there: Post = ChannelPost(channel.get_partial_message(message.message_id))
            if message.token is not None and message.by_token:
                there = InteractionPost(self._webhook(message.token), message.good_to)
            ways.append((True, partial(there.edit, notice(said))))
        if message.token is not None:
            answer = self._webhook(message.token)
            # The result may have been published since, in a message that this one cannot know.
            knows = message.by_token
            ways.append((knows, partial(answer.delete_message, message.message_id)))
        ways.append((True, channel.get_partial_message(message.message_id).delete))
        gone = False
        for knows, way in ways:
            try:
                await way()
            except Exception as error:
                meaning = refusal(error)
                if meaning in (Refusal.TRANSIENT, Refusal.BUSY):
                    log.info("a message is deleted later: %s", short(error))
                    return None
                if meaning is None:
                    # One that cannot be deleted must not keep the others.
                    log.exception("a message was not deleted")
                    continue
                log.info("a message was not deleted: %s", short(error))
                code = error.code if isinstance(error, discord.HTTPException) else 0
                unknown = code == UNKNOWN_MESSAGE
                unknown = unknown or (code == UNKNOWN_CHANNEL and not message.by_token)
                gone = gone or (unknown and knows)
            else:
                return True
        return gone

    async def _notice(self, message: Removable) -> str | None:
        """What whoever deletes the result by hand puts in its place, if it is another's."""
        by = None if message.asked else await self._deletions.moderated(message.message_id)
        if by is None:
            return None
        say = self._texts.speaker(by.locale)
        return say("delete.notice", user=mention(by.moderator), owner=mention(by.owner))
