"""Endings: tells people that they were forgotten, also long after they asked for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import discord

from bot.chat.delivery.posts import ORIGINAL, answering
from bot.chat.delivery.refusals import refusal, short
from bot.chat.ui.privacy import forgotten_text
from bot.errors import StoreError
from bot.store import Answer, Forgetting, Store, now_ms
from bot.texts.language import Texts

log = logging.getLogger(__name__)

PAUSE: Final = 0.5
"""Seconds between two looks whether the messages are deleted."""
MARGIN_MS: Final = 30_000
"""How long before the end of an answer it is told what has become of the messages until then."""
DIRECT_AFTER_MS: Final = 15 * 60 * 1000
"""How long a direct message waits for that, since it is sent once."""


class Endings:
    """Changes the answer while Discord takes that, and writes to the person directly afterwards."""

    def __init__(
        self,
        client: discord.Client,
        store: Store,
        texts: Texts,
        has_traces: Callable[[], Awaitable[bool]],
        webhook: Callable[[str], discord.Webhook] | None = None,
    ) -> None:
        """has_traces: see Forgetter. webhook: see Delivery."""
        self._client = client
        self._store = store
        self._texts = texts
        self._has_traces = has_traces
        self._webhook = webhook or partial(answering, client)
        self._ended: asyncio.Queue[Forgetting] = asyncio.Queue()

    def ended(self, request: Forgetting) -> None:
        """It is carried out."""
        self._ended.put_nowait(request)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._tell(await self._ended.get()))

    async def _tell(self, request: Forgetting) -> None:
        try:
            if request.answer is not None:
                await self._tell_person(request, request.answer)
            await self._store.personal.forgettings.settle(request.id)
        except StoreError as error:
            log.error("a person is not told that they were forgotten: %s", error)
        except Exception:
            log.exception("a person is not told that they were forgotten")

    async def _tell_person(self, request: Forgetting, answer: Answer) -> None:
        alive, until = answer.alive, answer.good_to - MARGIN_MS
        if alive:
            await self._change(answer, await self._text(request, answer))
        else:
            until = now_ms() + DIRECT_AFTER_MS
        waited = False
        while (await self._store.personal.forgettings.outcome(request.id))[0] and now_ms() < until:
            waited = True
            await asyncio.sleep(PAUSE)
        if not alive:
            await self._write(request.person, await self._text(request, answer))
        elif waited:
            await self._change(answer, await self._text(request, answer))

    async def _text(self, request: Forgetting, answer: Answer) -> str:
        personal = self._store.personal
        to_do, stay = await personal.forgettings.outcome(request.id)
        return forgotten_text(
            self._texts.speaker(answer.locale),
            messages=to_do,
            stay=stay,
            traces=await self._has_traces(),
            blocked=bool((await personal.holdings(request.person, request.span)).blocks),
            copies_until=await self._store.copies_kept_until(),
            aside=await self._store.has_copies_aside(),
        )

    async def _change(self, answer: Answer, text: str) -> None:
        try:
            await self._webhook(answer.token).edit_message(ORIGINAL, content=text, view=None)
        except Exception as error:
            if refusal(error) is None:
                raise
            log.info("cannot confirm that a person was forgotten: %s", short(error))

    async def _write(self, person: str, text: str) -> None:
        try:
            user = discord.Object(int(person.partition(":")[2]))
            await (await self._client.create_dm(user)).send(content=text)
        except Exception as error:
            if refusal(error) is None:
                raise
            log.info("cannot confirm that a person was forgotten: %s", short(error))
