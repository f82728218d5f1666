"""/wildcards: which lists of words a prompt can draw from."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.ui.pages import PageId, turning_view
from bot.chat.ui.wildcards import wildcard_choices, wildcards_meant, wildcards_page
from catalog import LiveCatalog

SEARCH_MAX = 60
"""Characters of what is searched for, which the buttons carry."""


class WildcardsPageId(PageId):
    prefix = "wildcards"


class WildcardsCog(commands.Cog):
    """Shows the wildcards privately, page by page."""

    def __init__(self, catalog: LiveCatalog) -> None:
        self._catalog = catalog

    @app_commands.command(description="command.wildcards.description")
    @app_commands.describe(search="command.wildcards.search")
    async def wildcards(
        self, interaction: Interaction, search: app_commands.Range[str, 1, SEARCH_MAX] | None = None
    ) -> None:
        wanted = WildcardsPageId(0, (search or "").replace(":", " "))
        embed, view = self.page(interaction, wanted)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @wildcards.autocomplete("search")
    async def _complete(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        nsfw = here_of(interaction).nsfw
        found = wildcard_choices(text, self._catalog.current.wildcards, nsfw=nsfw)
        return [choice for choice in found if len(choice.value) <= SEARCH_MAX]

    def page(
        self, interaction: Interaction, wanted: WildcardsPageId
    ) -> tuple[discord.Embed, discord.ui.View]:
        """The wanted page, or the nearest that exists, and its buttons."""
        say = here_of(interaction).say
        wildcards = self._catalog.current.wildcards
        names = wildcards_meant(wanted.search, wildcards, nsfw=here_of(interaction).nsfw)
        embed, page, pages = wildcards_page(say, names, wanted.page, wildcards=wildcards)
        return embed, turning_view(say, replace(wanted, page=page), pages)


class WildcardsPageButton(Component[WildcardsPageId]):
    """Turns to the page named in its id, for anyone who sees the message."""

    ids = WildcardsPageId

    def __init__(self, cog: WildcardsCog) -> None:
        self._cog = cog

    async def use(self, interaction: Interaction, custom_id: WildcardsPageId) -> None:
        embed, view = self._cog.page(interaction, custom_id)
        await interaction.response.edit_message(embed=embed, view=view)


async def setup(bot: ImagenBot) -> None:
    cog = WildcardsCog(bot.services.backend.catalog)
    await bot.add_cog(cog)
    bot.components.add(WildcardsPageButton(cog))
