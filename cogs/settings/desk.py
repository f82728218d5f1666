"""Who may change which settings where, and changing them."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import discord
from discord import app_commands

from bot.chat.audit import Audit
from bot.chat.client import ImagenBot, Interaction
from bot.chat.contexts import Context
from bot.chat.here import here_of
from bot.chat.places import may_tell
from bot.chat.ui.settings import GROUPS, changed_line, group_of, panel_layout
from bot.errors import Refused
from bot.levels import Level, Levels, resolve
from bot.levels.entering import Entering
from bot.levels.showing import SeenFrom
from bot.queue import JobQueue
from bot.texts.language import Texts
from catalog import Catalog, LiveCatalog

LEVELS: Final[dict[str, Level]] = {
    "me": Level.PERSON,
    "channel": Level.CHANNEL,
    "server": Level.SERVER,
}
"""The levels by what the commands call them."""


@dataclass(frozen=True, slots=True)
class SettingsDesk:
    """What the command and the panels share. Each use asks again whether the person may."""

    levels: Levels
    catalog: LiveCatalog
    queue: JobQueue
    texts: Texts
    audit: Audit

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        services, backend = bot.services, bot.services.backend
        return cls(backend.levels, backend.catalog, backend.queue, services.texts, services.audit)

    def check(self, interaction: Interaction, level: Level) -> None:
        """Raise unless this person may see and change what `level` sets where they are.

        A server's and a channel's settings are for those who manage the server. A panel belongs to
        the channel it is in, so the permissions there count.
        """
        place = here_of(interaction).place
        self.queue.check_not_blocked(place.person, place.community)
        if level is Level.PERSON:
            return
        if here_of(interaction).context is not Context.SERVER:
            raise Refused("settings.no_server")
        may = interaction.permissions
        if not (may.manage_guild or may.administrator):
            raise app_commands.MissingPermissions(["manage_guild"])

    async def seen_from(self, interaction: Interaction, level: Level) -> SeenFrom:
        return await self.levels.seen_from(level, here_of(interaction).place)

    def entering(self, interaction: Interaction, seen_from: SeenFrom) -> Entering:
        """Reads what is entered. A list of what is allowed is about all that the levels above
        allow."""
        rules = seen_from.rules
        if seen_from.level is not Level.PERSON:
            above = {
                Level.SERVER: resolve(self.levels.caps),
                Level.CHANNEL: resolve(self.levels.caps, seen_from.server),
            }
            rules = above[seen_from.level]
        return Entering(
            level=seen_from.level,
            catalog=rules.offered(self.catalog.current),
            nsfw=here_of(interaction).nsfw,
            languages=self.texts.languages,
            is_role=partial(_is_role, interaction.guild),
            may_tell=partial(may_tell, interaction.guild),
        )

    def panel(
        self,
        interaction: Interaction,
        seen_from: SeenFrom,
        group: str,
        said: str | None = None,
    ) -> discord.ui.LayoutView:
        here = here_of(interaction)
        notes = [said] if said else []
        chosen = seen_from.level is Level.SERVER and "audit_channel" in GROUPS[group]
        if chosen and here.place.community in self.audit.refusing:
            notes.append(here.say("settings.audit_refused"))
        return panel_layout(
            here.say,
            seen_from,
            group,
            self.shown_catalog,
            nsfw=here.nsfw,
            said="\n".join(notes) or None,
        )

    @property
    def shown_catalog(self) -> Catalog:
        """What names in lists are looked up in."""
        return self.catalog.current

    async def change(
        self, interaction: Interaction, level: Level, name: str, value: Any
    ) -> tuple[SeenFrom, str]:
        """Set it, or reset it with None; returns what holds then, and a line that says so."""
        here = here_of(interaction)
        await self.levels.change(level, here.place, {name: value})
        if name == "audit_channel" and here.place.community is not None:
            self.audit.heed(here.place.community)
        seen_from = await self.seen_from(interaction, level)
        say = here.say
        if name == "language" and level is Level.PERSON:
            say = self.texts.speaker(seen_from.rules.language or str(interaction.locale))
        line = changed_line(
            say, level, name, seen_from.shown(name), self.shown_catalog, nsfw=here.nsfw
        )
        return seen_from, line

    async def change_on_panel(
        self, interaction: Interaction, level: Level, name: str, value: Any
    ) -> None:
        """The same, and show the panel again."""
        seen_from, line = await self.change(interaction, level, name, value)
        view = self.panel(interaction, seen_from, group_of(name), line)
        await interaction.response.edit_message(view=view)


def _is_role(guild: discord.Guild | None, role: int) -> bool:
    return guild is not None and guild.get_role(role) is not None


def level_of(text: str) -> Level:
    """The level in a custom_id. Raises Refused for anything else."""
    try:
        level = Level(text)
    except ValueError as error:
        raise Refused("error.component") from error
    if level is Level.OWNER:
        raise Refused("error.component")
    return level
