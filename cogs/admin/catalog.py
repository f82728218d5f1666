"""/admin reload, and /admin entry: what is offered, changed while the bot runs."""

import asyncio
from typing import cast

from discord import app_commands
from discord.app_commands import Choice

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.chat.ui.admin import entry_name, reloaded, switched_off
from bot.chat.ui.choices import CHOICES_MAX, labelled
from bot.chat.ui.markdown import cut_off
from bot.errors import InvalidRequest, Refused
from bot.store import ActKind, Store, discord_person
from catalog import CatalogError, EntryKind, LiveCatalog, changes, entries_of
from cogs.admin.group import Commands, OwnersGroup, answer, may_be_suggested, say_to

KINDS = [
    Choice(name="model", value="model"),
    Choice(name="LoRA", value="adapter"),
    Choice(name="embedding", value="embedding"),
    Choice(name="upscaler", value="upscaler"),
    Choice(name="ControlNet", value="controlnet"),
]


class Switches:
    """Which entries the owner has switched off: the store and the live catalog, kept in step."""

    def __init__(self, catalog: LiveCatalog, store: Store) -> None:
        self.catalog = catalog
        self._store = store
        self._switching = asyncio.Lock()

    async def off(self) -> set[tuple[EntryKind, str]]:
        return set(await self._store.disabled_entries.all())

    async def disable(self, kind: EntryKind, key: str, actor: str) -> None:
        """Raises InvalidRequest for an unknown one, Refused for the last model or a repeat."""
        async with self._switching:
            catalog = self.catalog.current
            if key not in entries_of(catalog, kind):
                raise InvalidRequest("key", "admin.entry.unknown", value=key)
            others = (model.key for model in catalog.offered_models(nsfw=True) if model.key != key)
            if kind == "model" and not any(others):
                raise Refused("admin.entry.last")
            if not await self._store.disabled_entries.disable(kind, key, actor):
                raise Refused("admin.entry.off_already")
            await self._apply()

    async def enable(self, kind: EntryKind, key: str, actor: str) -> None:
        """Raises Refused if it was not switched off."""
        async with self._switching:
            if not await self._store.disabled_entries.enable(kind, key, actor):
                raise Refused("admin.entry.on_already")
            await self._apply()

    async def _apply(self) -> None:
        off = await self._store.disabled_entries.all()
        await asyncio.to_thread(self.catalog.switch_off, off)


class EntryCommands(OwnersGroup):
    """/admin entry enable, disable and list."""

    def __init__(self, switches: Switches) -> None:
        super().__init__(name="entry", description="command.admin.entry.description")
        self._switches = switches

    @app_commands.command(name="disable", description="command.admin.entry.disable.description")
    @app_commands.describe(
        kind="command.admin.entry.disable.kind", key="command.admin.entry.disable.key"
    )
    @app_commands.choices(kind=KINDS)
    async def disable(self, interaction: Interaction, kind: str, key: str) -> None:
        of = cast("EntryKind", kind)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._switches.disable(of, key, discord_person(interaction.user.id))
        await self._done(interaction, "admin.entry.disabled", of, key)

    @app_commands.command(name="enable", description="command.admin.entry.enable.description")
    @app_commands.describe(
        kind="command.admin.entry.disable.kind", key="command.admin.entry.disable.key"
    )
    @app_commands.choices(kind=KINDS)
    async def enable(self, interaction: Interaction, kind: str, key: str) -> None:
        of = cast("EntryKind", kind)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._switches.enable(of, key, discord_person(interaction.user.id))
        await self._done(interaction, "admin.entry.enabled", of, key)

    @app_commands.command(name="list", description="command.admin.entry.list.description")
    async def show(self, interaction: Interaction) -> None:
        nsfw = here_of(interaction).nsfw
        off, catalog = await self._switches.off(), self._switches.catalog.whole
        await answer(interaction, switched_off(say_to(interaction), off, catalog, nsfw=nsfw))

    @disable.autocomplete("key")
    async def _complete_enabled(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        return await self._suggest(interaction, text, off=False)

    @enable.autocomplete("key")
    async def _complete_disabled(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        return await self._suggest(interaction, text, off=True)

    async def _suggest(
        self, interaction: Interaction, text: str, *, off: bool
    ) -> list[Choice[str]]:
        kind = interaction.namespace.kind
        if kind not in {choice.value for choice in KINDS} or not await may_be_suggested(
            interaction
        ):
            return []
        nsfw, wanted = here_of(interaction).nsfw, text.casefold()
        switched = await self._switches.off()
        entries = entries_of(self._switches.catalog.whole, kind)
        found = [
            entry
            for key, entry in entries.items()
            if (nsfw or not entry.nsfw)
            and ((kind, key) in switched) is off
            and (off or entry.enabled)
            and (wanted in key.casefold() or wanted in entry.name.casefold())
        ]
        return [labelled(entry.name, entry.key) for entry in found[:CHOICES_MAX]]

    async def _done(self, interaction: Interaction, said: str, kind: EntryKind, key: str) -> None:
        say, nsfw = say_to(interaction), here_of(interaction).nsfw
        entry = entry_name(say, self._switches.catalog.whole, kind, key, nsfw=nsfw)
        await answer(interaction, say(said, entry=entry))


class Reload:
    """/admin reload. What has changed is told since the last time, or since the start."""

    def __init__(self, catalog: LiveCatalog, store: Store) -> None:
        self._catalog = catalog
        self._store = store
        self._told = catalog.whole

    async def reload(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        say = say_to(interaction)
        try:
            await asyncio.to_thread(self._catalog.reload)
        except CatalogError as error:
            await answer(interaction, cut_off(say("admin.reload.kept", why=str(error)), 2_000))
            return
        before, after = self._told, self._catalog.whole
        found = await asyncio.to_thread(changes, before, after)
        self._told = after
        nsfw = here_of(interaction).nsfw
        await answer(interaction, reloaded(say, found, before, after, nsfw=nsfw))
        if found:
            await self._store.acts.record(
                kind=ActKind.CATALOG_RELOADED,
                actor=discord_person(interaction.user.id),
                added=len(found.added),
                removed=len(found.removed),
                changed=len(found.changed),
                problems=len(after.problems),
            )


def commands(bot: ImagenBot) -> Commands:
    backend = bot.services.backend
    return (
        app_commands.Command(
            name="reload",
            description="command.admin.reload.description",
            callback=Reload(backend.catalog, backend.store).reload,
        ),
        EntryCommands(Switches(backend.catalog, backend.store)),
    )
