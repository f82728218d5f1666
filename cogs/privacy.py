"""/privacy, /export and /forget: what is kept of a person, all of it as files, and its end."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import discord
from discord import app_commands
from discord.app_commands import Choice as Offered
from discord.app_commands import locale_str
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.errors import UNREACHABLE, sentence
from bot.chat.here import here_of
from bot.chat.ui.privacy import (
    ForgetId,
    Kept,
    exported_text,
    forget_text,
    forget_view,
    privacy_embed,
    privacy_links,
    readme,
)
from bot.errors import Refused, StoreError
from bot.log import traceback_without
from bot.privacy import Choice, Contents, Exporter, Forgetter, Part, span_of
from bot.settings import Settings
from bot.store import DEFAULT_UPLOAD_LIMIT, Answer, Span, Store, discord_person, now_ms
from bot.texts.language import Say

log = logging.getLogger(__name__)

SPANS: Final = [
    Offered(name=locale_str("Everything", code="command.spans.all"), value="all"),
    Offered(name=locale_str("The last hour", code="command.spans.hour"), value="hour"),
    Offered(name=locale_str("The last 24 hours", code="command.spans.day"), value="day"),
    Offered(name=locale_str("The last 7 days", code="command.spans.week"), value="week"),
]
ALONE_WITHIN: Final = 12 * 60.0
"""Seconds for which someone who is being forgotten can have no export."""
EXPIRY_MARGIN_MS: Final = 30_000
"""How long before its end an answer is no longer relied on."""
MARGIN: Final = 1_024
"""Bytes that a file stays below Discord's limit."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """Sends to one person alone: as an answer for as long as Discord takes it, then directly.

    The answer itself says how it goes, and at last how it went: the messages that follow it may be
    limited in number.
    """

    interaction: Interaction

    async def begin(self, text: str) -> None:
        """Raises what discord.py raises."""
        await self.interaction.edit_original_response(content=text)

    async def end(self, text: str) -> None:
        """Say how it went, if Discord takes it either way."""
        try:
            if self.interaction.is_expired():
                await self._directly(content=text)
            else:
                await self.interaction.edit_original_response(content=text)
        except UNREACHABLE as error:
            log.info("how an export went cannot be said: %s", type(error).__name__)

    async def part(self, part: Part) -> None:
        """Raises Refused if Discord takes it neither way."""
        name = f"imagen-{datetime.now(UTC).date().isoformat()}-{part.number}.zip"
        if not self.interaction.is_expired():
            try:
                file = await asyncio.to_thread(discord.File, part.path, name)
                await self.interaction.followup.send(file=file, ephemeral=True)
            except UNREACHABLE as error:
                log.info("an export cannot be sent as an answer: %s", type(error).__name__)
            else:
                return
        try:
            await self._directly(file=await asyncio.to_thread(discord.File, part.path, name))
        except UNREACHABLE as error:
            log.info("an export cannot be sent as a direct message: %s", type(error).__name__)
            raise Refused("export.unreachable") from error

    async def _directly(self, **content: Any) -> None:
        channel = await self.interaction.client.create_dm(self.interaction.user)
        await channel.send(**content)


class Privacy(commands.Cog):
    """Everyone may use it, whoever is blocked included: it is about their own data."""

    def __init__(
        self, settings: Settings, store: Store, forgetter: Forgetter, exporter: Exporter
    ) -> None:
        self._settings = settings
        self._store = store
        self._forgetter = forgetter
        self._exporter = exporter

    @app_commands.command(description="command.privacy.description")
    async def privacy(self, interaction: Interaction) -> None:
        here, settings = here_of(interaction), self._settings
        say = here.say
        kept = Kept(
            image_days=settings.keep_days,
            gib=settings.keep_gb,
            history_days=settings.keep_history_days,
            server_days=here.rules.keep_days,
            contact=settings.contact,
            workers=settings.broker is not None,
            privacy_url=settings.privacy_url,
            terms_url=settings.terms_url,
        )
        view = privacy_links(say, kept)
        await interaction.response.send_message(
            embed=privacy_embed(say, kept), view=view or discord.utils.MISSING, ephemeral=True
        )

    @app_commands.command(description="command.export.description")
    @app_commands.describe(
        span="command.export.span", since="command.export.from", until="command.export.to"
    )
    @app_commands.rename(since="from", until="to")
    @app_commands.choices(span=SPANS)
    async def export(
        self,
        interaction: Interaction,
        span: Choice | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> None:
        chosen = span_of(span, since, until, datetime.now(UTC))
        person = discord_person(interaction.user.id)
        self._exporter.check_rested(person)
        with self._exporter.alone(person):
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self._export(interaction, person, chosen)

    async def _export(self, interaction: Interaction, person: str, span: Span) -> None:
        say, sending, contents = here_of(interaction).say, _Sending(interaction), Contents()
        limit = min(interaction.filesize_limit, DEFAULT_UPLOAD_LIMIT) - MARGIN
        count = 0
        parts = self._exporter.parts(person, span, limit, lambda c: _readme(say, c), contents)
        await sending.begin(say("export.under_way"))
        try:
            async for part in parts:
                await sending.part(part)
                count += 1
        except Exception as error:
            if not count:
                raise
            # What was sent stays, so this cannot be left to what answers errors.
            why = sentence(error, say)
            if why is None or isinstance(error, StoreError):
                log.error("an export broke off\n%s", traceback_without(error, []))
                why = say("export.broken")
            await sending.end(say("export.part", count=count, why=why))
            return
        finally:
            await parts.aclose()
        log.info("an export was sent: %d files", count)
        text = exported_text(
            say,
            parts=count,
            jobs=contents.jobs,
            sent=contents.sent,
            pruned=contents.pruned,
            too_large=len(contents.too_large) + len(contents.unread),
            left_out=contents.left_out,
        )
        await sending.end(text)

    @app_commands.command(description="command.forget.description")
    @app_commands.describe(
        span="command.forget.span", since="command.forget.from", until="command.forget.to"
    )
    @app_commands.rename(since="from", until="to")
    @app_commands.choices(span=SPANS)
    async def forget(
        self,
        interaction: Interaction,
        span: Choice | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> None:
        say = here_of(interaction).say
        chosen = span_of(span, since, until, datetime.now(UTC))
        person = discord_person(interaction.user.id)
        await interaction.response.defer(ephemeral=True, thinking=True)
        found = await self._store.personal.holdings(person, chosen)
        if not found.anything(chosen):
            raise Refused("forget.only_blocked" if found.blocks else "forget.nothing")
        text = forget_text(
            say,
            found,
            chosen,
            await self._store.copies_kept_until(),
            aside=await self._store.has_copies_aside(),
        )
        await interaction.followup.send(text, view=forget_view(say, found, chosen), ephemeral=True)

    async def carry_out(self, interaction: Interaction, custom_id: ForgetId) -> None:
        """Forget what a person did, after they said so. They are told once it is done."""
        here = here_of(interaction)
        person = discord_person(interaction.user.id)
        # Nothing that is asked for from now on: anyone can make a client send anything.
        span = Span(custom_id.since, min(custom_id.until, now_ms() + 1))
        with self._exporter.alone(person):
            # Discord waits for three seconds, and the store may take longer.
            await interaction.response.defer()
            good_to = int(interaction.expires_at.timestamp() * 1000) - EXPIRY_MARGIN_MS
            answer = Answer(interaction.token, good_to, here.locale)
            done = await self._forgetter.forget(
                person, span, hand_over=bool(custom_id.hand_over), answer=answer
            )
            try:
                await interaction.edit_original_response(
                    content=here.say("forget.under_way"), view=None
                )
            except UNREACHABLE as error:
                log.info("cannot say that a person is forgotten: %s", type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(ALONE_WITHIN):
                    await done.wait()


class ForgetButton(Component[ForgetId]):
    ids = ForgetId

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy

    async def use(self, interaction: Interaction, custom_id: ForgetId) -> None:
        await self._privacy.carry_out(interaction, custom_id)


def _readme(say: Say, contents: Contents) -> str:
    return readme(
        say,
        pruned=contents.pruned,
        too_large=len(contents.too_large) + len(contents.unread),
        left_out=contents.left_out,
    )


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    cog = Privacy(backend.settings, backend.store, services.forgetter, services.exporter)
    await bot.add_cog(cog)
    bot.components.add(ForgetButton(cog))
