"""The bot on Discord: its parts, and its connection."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Self

import discord

from bot.chat.audit import Audit, Destinations, ReportedPictures
from bot.chat.client import ImagenBot
from bot.chat.connection import log_in, point_at, refused_for_good, stay_connected
from bot.chat.contexts import Contexts
from bot.chat.delivery import Delivery, Endings, Removal
from bot.chat.delivery.status import EDIT_INTERVAL
from bot.chat.draining import Draining
from bot.chat.here import FindHere
from bot.chat.known_roles import KnownRoles
from bot.chat.mentions import Mentions
from bot.chat.owners import Owners
from bot.chat.presence import Presence
from bot.chat.services import Services
from bot.chat.sync import known_ids, register_if_changed
from bot.chat.ui.presence import named_models, presence_text
from bot.errors import SettingsError, StoreError
from bot.levels import Levels, Place
from bot.privacy import EXPORTS, Exporter
from bot.process.signals import stop_this_process
from bot.queue.outlook import PART
from bot.serve.core import Core
from bot.settings import DISCORD_API_URL, Settings
from bot.store import COPY_NOTICED, Discord, discord_community, now_ms


@dataclass(frozen=True, slots=True)
class DiscordBot:
    """A bot and all its parts, built but not yet running."""

    core: Core
    client: ImagenBot
    delivery: Delivery
    audit: Audit
    removal: Removal
    endings: Endings
    logged_in: asyncio.Event
    mentions: Mentions

    @classmethod
    @asynccontextmanager
    async def build(cls, settings: Settings, extensions: Sequence[str]) -> AsyncIterator[Self]:
        """extensions: the modules of the cogs. Raises StoreError or CatalogError."""
        point_at(settings.api_url)
        logged_in = asyncio.Event()
        # Previews between two edits would never be shown.
        async with Core.build(settings, preview_interval=EDIT_INTERVAL) as core:
            mentions = Mentions()
            texts, backend = core.texts.mentioning(mentions), core.backend
            contexts = contexts_of(settings)
            async with ImagenBot(texts, settings.proxy) as client:
                delivery = Delivery(
                    client=client,
                    store=backend.store,
                    texts=texts,
                    catalog=backend.catalog,
                    images_dir=settings.images_dir.absolute(),
                    interval=EDIT_INTERVAL,
                    undeliverable=core.observers.failed,
                    logged_in=logged_in.wait,
                    copies=client.copies,
                    ping_after=settings.ping_after,
                    levels=backend.levels,
                    direct=contexts.direct,
                    flagged=backend.screening.flags,
                    inputs_dir=settings.inputs_dir.absolute(),
                )
                backend.permits.add(delivery.gate.permit)
                core.by_origin.pass_on(Discord.name, delivery)
                owners = Owners(client)
                audit = Audit(
                    store=backend.store,
                    texts=texts,
                    levels=backend.levels,
                    catalog=backend.catalog,
                    destinations=Destinations(
                        client,
                        owners,
                        partial(_audit_channel, backend.levels),
                        settings.report_channel,
                    ),
                    pictures=ReportedPictures(client, delivery),
                )
                roles = KnownRoles(client, {*settings.allowed_roles, *settings.priority_roles})
                removal = Removal(client, backend.store, texts, logged_in.wait)
                core.forgetter.on_erased(removal.wake)
                core.forgetter.wait_for(lambda: delivery.sending)
                endings = Endings(client, backend.store, texts, core.forgetter.has_traces)
                core.forgetter.on_ended(endings.ended)
                exporter = Exporter(
                    backend.store,
                    images_dir=settings.images_dir.absolute(),
                    inputs=backend.inputs,
                    folder=settings.data_dir.absolute() / EXPORTS,
                )
                await asyncio.to_thread(exporter.clean_up)
                services = Services(
                    texts=texts,
                    find_here=FindHere(
                        texts, backend.levels, contexts, roles, backend.queue.blocked
                    ),
                    contexts=contexts,
                    backend=backend,
                    delivery=delivery,
                    workers=core.workers,
                    previews=core.previews,
                    owners=owners,
                    audit=audit,
                    blocking=core.blocking,
                    draining=Draining(
                        backend.queue, delivery, backend.store, audit, stop_this_process
                    ),
                    forgetter=core.forgetter,
                    exporter=exporter,
                )
                await client.load(services, extensions)
                client.on_connected(delivery.back)
                yield cls(core, client, delivery, audit, removal, endings, logged_in, mentions)

    async def connected(self) -> str | None:
        """A health check."""
        if self.client.copies.seen:
            return "another copy of the bot runs with the same token; stop one of the two"
        heartbeats = self.client.heartbeats
        down = [number for number, seconds in heartbeats.items() if seconds is None]
        if len(down) == len(heartbeats):
            return "not connected"
        if down:
            numbers = ", ".join(map(str, down))
            return f"of {len(heartbeats)} shards, not connected: {numbers}"
        return None

    async def connect(self) -> None:
        """Log in, then stay connected until cancelled. Results finished earlier wait for the login.

        Raises SettingsError when Discord refuses the bot, and Outgrown when it asks for more
        shards.
        """
        settings = self.core.settings
        if settings.token is None:
            raise SettingsError("DISCORD_TOKEN: not set")
        token = settings.token.get_secret_value()
        try:
            await log_in(self.client, token, own_gateway=settings.api_url != DISCORD_API_URL)
            self.logged_in.set()
            await self._resume()
            await stay_connected(self.client)
        except (discord.LoginFailure, discord.ConnectionClosed) as error:
            raise refused_for_good(error) from error

    async def _resume(self) -> None:
        """Show waiting jobs again where they were shown before."""
        queue = self.core.backend.queue
        tickets = await queue.standings()
        for begin in range(0, len(tickets), PART):
            # One that has left meanwhile has its result by now, which a status must not replace.
            part = [ticket for ticket in tickets[begin : begin + PART] if ticket.job.id in queue]
            await self.delivery.resume(part)

    async def register(self) -> None:
        """Register the commands, if they have changed."""
        # Not before connecting: the commands registered earlier still work.
        await self.logged_in.wait()
        store, settings, tree = self.core.backend.store, self.core.settings, self.client.tree
        await self._learn_ids()
        await register_if_changed(tree, store, settings.guild_id, settings.admin_servers)
        await self._learn_ids()

    async def _learn_ids(self) -> None:
        """Have commands mentioned by the IDs that they were registered with."""
        store, settings, tree = self.core.backend.store, self.core.settings, self.client.tree
        with suppress(StoreError):  # it is logged, too
            everywhere = await known_ids(tree, store, settings.guild_id)
            own = {
                discord_community(server): await known_ids(tree, store, server)
                for server in settings.admin_servers
            }
            self.mentions.learn(everywhere, own)

    async def show_presence(self) -> None:
        """Keep the bot's status up to date, if the owner wants one."""
        if self.core.settings.presence:
            await Presence(self.client, self._presence).run()

    async def _presence(self) -> str:
        """What the status says now, in the language of the only server, or else in English."""
        backend, servers = self.core.backend, self.client.guilds
        queue, loaded = backend.queue, backend.loaded()
        allowed = await backend.levels.models_everywhere()
        running = len(queue.running)
        return presence_text(
            await self.audit.say_in(servers[0] if len(servers) == 1 else None),
            named_models(backend.catalog.current, loaded, allowed),
            running=running,
            waiting=len(queue) - running,
        )

    async def remember_copies(self) -> None:
        """Keep for `check` when another copy of the bot was noticed."""
        await self.client.copies.noticed.wait()
        with suppress(StoreError):  # it is logged, too
            await self.core.backend.store.set_setting(COPY_NOTICED, str(now_ms()))


async def _audit_channel(levels: Levels, community: str) -> int | None:
    """The ID of the channel that a server has chosen to be told of changes in."""
    return (await levels.rules(Place(person="", community=community))).audit_channel


def contexts_of(settings: Settings) -> Contexts:
    """Where people may use the bot: commands that are registered in one server are for that one."""
    everywhere = settings.guild_id is None
    return Contexts(
        direct=settings.direct_messages and everywhere,
        elsewhere=settings.user_install and everywhere,
    )
