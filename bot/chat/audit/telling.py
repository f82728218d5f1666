"""Audit: tells every act that is kept in the store once, however often the process ends."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Never

import discord

from bot.chat.audit.patience import AGAIN, RETRY_AFTER, Patience
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
KEPT_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Milliseconds after which an act is no news any more, if it could not be told for so long."""
ENGLISH: Final = "en-US"


class Audit:
    """Tells acts one after the other, the oldest first, and notes to all servers behind them.

    What cannot be told now, for a reason of its own or its destination's, keeps nothing else.
    """

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
        self._patience = Patience(clock)
        self._again: dict[int, float] = {}
        store.acts.on_recorded(self._wake)

    @property
    def refusing(self) -> Mapping[str | None, str]:
        """The servers whose channel refuses what it is told, and why; None stands for the
        owners."""
        return self._patience.refusing

    def heed(self, community: str) -> None:
        """The server has chosen another audit channel."""
        self._patience.heed(community)
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
            began = self._clock()
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
            if self._patience.away:
                await asyncio.sleep(RETRY_AFTER.after(0))
                continue
            if not self._woken.is_set() and not self._patience.times(began, refusing=False):
                self._settled.set()
            try:
                async with asyncio.timeout(self._pause(began)):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def _pause(self, began: float) -> float | None:
        """Seconds until something that was left alone in the round since `began` is to be tried
        again; None if there is nothing."""
        self._again = {act_id: time for act_id, time in self._again.items() if time > began}
        times = [*self._again.values(), *self._patience.times(began)]
        return max(0.0, min(times) - self._clock()) if times else None

    async def _tell_all(self) -> None:
        """One round, until it shows that Discord is away.

        Raises what a call to Discord raises without a network, and StoreError.
        """
        self._patience.begin()
        for notes in (False, True):
            after = 0
            while acts := await self._store.acts.untold(after, maintenance=notes):
                after = acts[-1].id
                for act in acts:
                    if await self._attempt(act):
                        await asyncio.sleep(PACE)
                    if self._patience.away:
                        return

    async def _attempt(self, act: Act) -> bool:
        """Tell one act, unless it or its channel is left alone now; returns whether it was tried.

        Raises as `_tell_all`.
        """
        if act.id in self._again and self._clock() < self._again[act.id]:
            return False
        try:
            destination = await self._destinations.of(act)
            if destination is None:
                await self._store.acts.tell(act.id)
                return False
            told = await self._tell_or_report(act, destination)
        except Exception as error:
            if isinstance(error, StoreError) or refusal(error) is not None:
                raise
            if act.id not in self._again:
                log.exception("act %d cannot be told", act.id)
            self._again[act.id] = self._clock() + AGAIN
            told = False
        if told is False and act.at < now_ms() - KEPT_MS:
            log.warning("act %d was never told: that has not been possible for days", act.id)
            told = True
        if told:
            await self._store.acts.tell(act.id)
        return told is not None

    async def _tell_or_report(self, act: Act, destination: Destination) -> bool | None:
        """As `_tell`; a report that a server's channel refuses goes to the owners."""
        told = await self._tell(act, destination)
        refused = not told and act.community in self._patience.refusing
        if refused and act.kind is ActKind.REPORTED and destination is not OWNERS:
            return await self._tell(act, OWNERS)
        return told

    async def _tell(self, act: Act, destination: Destination) -> bool | None:
        """Tell all channels; returns whether one took it, or None if that is to be tried later.

        Raises as `_tell_all`.
        """
        where = act.community if destination.guild else None
        if self._patience.rests(where):
            return None
        say = await self.say_in(destination.guild)
        content = await self._content(act, say)
        if content is None:
            return True
        failed: discord.DiscordException | None = None
        try:
            async for channels in self._destinations.routes(destination):
                taken, failed = await self._send_to(channels, act, destination, say, *content)
                if taken:
                    if self._patience.heed(where):
                        self._wake()  # for those that were passed over
                    return True
                if _may_pass(failed) and not self._patience.is_exhausted(where):
                    break
        except discord.DiscordException as error:
            if refusal(error) is None:
                raise
            failed = error
        if failed is None or not _may_pass(failed) or self._patience.is_exhausted(where):
            self._refuse(where, short(failed) if failed else "the server has no such channel")
            return False
        if self._patience.unreached(where):
            log.info("act %d is told later: %s", act.id, short(failed))
        return None

    async def _send_to(
        self,
        channels: "Sequence[MessageableChannel]",
        act: Act,
        destination: Destination,
        say: Say,
        text: str,
        view: discord.ui.View | None,
    ) -> tuple[bool, discord.DiscordException | None]:
        """Returns whether one of them took it, and what another raised: what may pass, if anything
        does."""
        taken, failed = False, list[discord.DiscordException]()
        for channel in channels:
            try:
                await self._send(channel, act, text, view)
                if act.kind is ActKind.REPORTED and destination is OWNERS:
                    await self._show(channel, act, say)
                taken = True
            except discord.DiscordException as error:
                if refusal(error) is None:
                    raise
                failed.append(error)
        return taken, max(failed, key=_may_pass, default=None)

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
        if self._patience.refused(where, why):
            whose = f"the audit channel of {where}" if where else "the owners' channel"
            log.warning("%s takes no messages: %s", whose, why)

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


def _may_pass(error: Exception | None) -> bool:
    """Whether the same may work later, as in a channel with slow mode."""
    return error is not None and refusal(error) in (Refusal.TRANSIENT, Refusal.BUSY)


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
