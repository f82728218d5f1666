"""Audit: tells every act that is kept in the store once, however often the process ends."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Never

import discord

from bot.backoff import Backoff
from bot.chat.audit.picture import ReportedPictures
from bot.chat.audit.places import OWNERS, Destination, Destinations
from bot.chat.delivery import only
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.ui.acts import act_line, maintenance, report_text, report_view
from bot.errors import StoreError
from bot.levels import Levels, Place
from bot.store import Act, ActKind, Discord, Job, Store, discord_community, now_ms
from bot.texts.language import Say, Texts
from catalog import LiveCatalog

if TYPE_CHECKING:
    from discord.abc import MessageableChannel

log = logging.getLogger(__name__)

PACE: Final = 0.2
"""Seconds between two messages. Discord's own limits per channel are kept to besides."""
AGAIN: Final = 600.0
"""Seconds after which a channel that refused is tried again."""
KEPT_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Milliseconds after which an act is no news any more, if its channel has refused for so long."""
RETRY_AFTER: Final = Backoff(2, 10, 30, 60)
"""Seconds between attempts while Discord is unavailable."""
ENGLISH: Final = "en-US"


class Audit:
    """Tells acts one after the other, the oldest first, and notes to all servers behind them."""

    def __init__(
        self,
        *,
        store: Store,
        texts: Texts,
        levels: Levels,
        catalog: LiveCatalog,
        destinations: Destinations,
        pictures: ReportedPictures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._texts = texts
        self._levels = levels
        self._catalog = catalog
        self._destinations = destinations
        self._pictures = pictures
        self._clock = clock
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()
        self._refusing: dict[str | None, tuple[float, str]] = {}
        store.acts.on_recorded(self._wake)

    @property
    def refusing(self) -> Mapping[str | None, str]:
        """The servers whose channel refuses what it is told, and why; None stands for the
        owners."""
        return {community: why for community, (_, why) in self._refusing.items()}

    def heed(self, community: str) -> None:
        """The server has chosen another audit channel."""
        self._refusing.pop(community, None)
        self._wake()

    def _wake(self) -> None:
        self._settled.clear()
        self._woken.set()

    async def settled(self) -> None:
        """Wait until everyone has been told who can be."""
        await self._settled.wait()

    async def run(self, online: asyncio.Event) -> Never:
        """Tell what there is to tell, until cancelled."""
        await online.wait()
        failures = 0
        while True:
            self._woken.clear()
            try:
                await self._tell_all()
            except Exception as error:
                if not isinstance(error, StoreError) and refusal(error) is None:
                    log.exception("telling what was changed failed")
                pause = RETRY_AFTER.after(failures)
                failures += 1
                log.warning("cannot tell what was changed (%s); trying again", short(error))
                await asyncio.sleep(pause)
                continue
            failures = 0
            if not self._woken.is_set():
                self._settled.set()
            try:
                async with asyncio.timeout(AGAIN if self._refusing else None):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _tell_all(self) -> None:
        """Raises what a call to Discord raises while it is unavailable, and StoreError."""
        for notes in (False, True):
            after = 0
            while acts := await self._store.acts.untold(after, maintenance=notes):
                after = acts[-1].id
                for act in acts:
                    if await self._attempt(act):
                        await asyncio.sleep(PACE)

    async def _attempt(self, act: Act) -> bool:
        """Tell one act, unless its channel has refused lately; returns whether it was tried."""
        destination = await self._destinations.of(act)
        if destination is None:
            await self._store.acts.tell(act.id)
            return False
        told = await self._tell(act, destination)
        if told is not True and act.kind is ActKind.REPORTED and destination is not OWNERS:
            told = await self._tell(act, OWNERS)
        if told is False and act.at < now_ms() - KEPT_MS:
            log.warning("act %d was never told: its channel has refused for days", act.id)
            told = True
        if told:
            await self._store.acts.tell(act.id)
        return told is not None

    async def _tell(self, act: Act, destination: Destination) -> bool | None:
        """Tell all channels; returns whether one took it, or None if they refused lately.

        Raises if Discord is unavailable.
        """
        where = act.community if destination.guild else None
        refused = self._refusing.get(where)
        if refused is not None and self._clock() - refused[0] < AGAIN:
            return None
        say = await self.say_in(destination.guild)
        content = await self._content(act, say)
        if content is None:
            return True
        why = "the server has no such channel"
        async for channels in self._destinations.routes(destination):
            taken = False
            for channel in channels:
                try:
                    await self._send(channel, act, *content)
                    if act.kind is ActKind.REPORTED and destination is OWNERS:
                        await self._show(channel, act, say)
                    taken = True
                except Exception as error:
                    if refusal(error) in (None, Refusal.TRANSIENT, Refusal.BUSY):
                        raise
                    why = short(error)
            if taken:
                if self._refusing.pop(where, None):
                    self._wake()  # for those that were passed over
                return True
        self._refuse(where, why)
        return False

    @staticmethod
    async def _send(
        channel: "MessageableChannel",
        act: Act,
        text: str,
        view: discord.ui.View | None,
    ) -> None:
        await channel.send(
            content=text,
            view=view or discord.utils.MISSING,
            allowed_mentions=only(None),
            suppress_embeds=True,
            nonce=_nonce(act, channel.id),
        )

    async def _show(self, channel: "MessageableChannel", act: Act, say: Say) -> None:
        """The owners may not be where it is."""
        if (job := await self._store.find(act.subject or "")) is not None:
            await self._pictures.show(channel, job, say, _nonce(act, channel.id, "picture"))

    def _refuse(self, where: str | None, why: str) -> None:
        if where not in self._refusing:
            whose = f"the audit channel of {where}" if where else "the owners' channel"
            log.warning("%s takes no messages: %s", whose, why)
        self._refusing[where] = self._clock(), why

    async def _content(self, act: Act, say: Say) -> tuple[str, discord.ui.View | None] | None:
        """None if what it was about is gone by now."""
        if act.kind is ActKind.MAINTENANCE:
            return maintenance(say, str(act.details.get("text", ""))), None
        if act.kind is not ActKind.REPORTED:
            return act_line(say, act, self._catalog.whole), None
        report = await self._store.reports.find(str(act.details.get("report")))
        job = await self._store.find(act.subject or "")
        if report is None or job is None:
            return None
        return report_text(say, report, job, _shown_at(act, job)), report_view(say, report)

    async def say_in(self, guild: discord.Guild | None) -> Say:
        """The language of what is told there; None for the owners. Raises StoreError."""
        if guild is None:
            return self._texts.speaker(ENGLISH)
        place = Place(person="", community=discord_community(guild.id))
        language = (await self._levels.rules(place)).public_language
        return self._texts.speaker(language or str(guild.preferred_locale), place.community)


def _shown_at(act: Act, job: Job) -> Discord | None:
    """Where a result was seen that someone reported; None if that is where it was asked for."""
    channel, message = act.details.get("channel"), act.details.get("message")
    if not isinstance(channel, int) or not isinstance(message, int) or act.community is None:
        return None
    guild_id = int(act.community.rpartition(":")[2])
    origin = Discord.of(job.origin)
    return replace(origin, guild_id=guild_id, channel_id=channel, message_id=message)


def _nonce(act: Act, channel_id: int, part: str = "") -> str:
    """The same for the same act: if the process ends before it is recorded as told, Discord sends
    it no second time. It knows a nonce by the author alone, whatever the channel."""
    return hashlib.blake2b(
        f"{act.id} {act.at} {channel_id}{part}".encode(), digest_size=12
    ).hexdigest()
