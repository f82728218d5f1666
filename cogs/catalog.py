"""/models and /loras: what there is to paint with."""

import asyncio
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal, Self

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.tree import guarded
from bot.chat.ui.choices import model_choices
from bot.chat.ui.pages import loras_page, models_page
from bot.request import find_model
from bot.texts.language import Say, Texts
from catalog import LiveCatalog, ModelEntry, locate_entry, problems_of
from cogs.places import age_restricted

Interaction = discord.Interaction[ImagenBot]
What = Literal["models", "loras"]


class CatalogCog(commands.Cog, name="Catalog"):
    """Shows the catalog privately, page by page."""

    def __init__(
        self,
        texts: Texts,
        catalog: LiveCatalog,
        models_dir: Path,
        loaded: Callable[[], Collection[str]],
    ) -> None:
        self._texts = texts
        self._catalog = catalog
        self._models_dir = models_dir
        self._loaded = loaded

    @app_commands.command(description="command.models.description")
    @app_commands.guild_only()
    async def models(self, interaction: Interaction) -> None:
        embed, view = await self.page(interaction, "models", 0)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @app_commands.command(description="command.loras.description")
    @app_commands.describe(model="command.loras.model")
    @app_commands.guild_only()
    async def loras(self, interaction: Interaction, model: str | None = None) -> None:
        embed, view = await self.page(interaction, "loras", 0, model)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @loras.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        nsfw = age_restricted(interaction.channel)
        return model_choices(text, self._catalog.current, nsfw=nsfw)

    async def page(
        self, interaction: Interaction, what: What, page: int, model: str | None = None
    ) -> tuple[discord.Embed, discord.ui.View]:
        """One page and its buttons. model: for which LoRAs are looked at."""
        say = self._texts.speaker(str(interaction.locale))
        nsfw = age_restricted(interaction.channel)
        catalog = self._catalog.current
        chosen = find_model(catalog, model, nsfw=nsfw) if model else None
        if what == "models":
            offered = catalog.offered_models(nsfw=nsfw)
            embed, page, pages = models_page(
                say,
                offered,
                page,
                default=catalog.default,
                loaded=self._loaded(),
                states=await asyncio.to_thread(self._states, say, offered),
            )
        else:
            adapters = catalog.offered_adapters(nsfw=nsfw)
            embed, page, pages = loras_page(say, adapters, page, model=chosen, catalog=catalog)
        view = discord.ui.View(timeout=None)
        if pages > 1:
            key = chosen.key if chosen else ""
            view.add_item(PageButton(what, page - 1, key, say("pages.previous"), page > 0))
            view.add_item(PageButton(what, page + 1, key, say("pages.next"), page < pages - 1))
        return embed, view

    def _states(self, say: Say, models: tuple[ModelEntry, ...]) -> dict[str, str]:
        """What to say of the files that are not simply there. Looks at the disk."""
        states = {}
        for entry in models:
            if problems_of(entry, self._models_dir):
                # Which ones is the owner's to know, from the log and `main.py check`.
                states[entry.key] = say("models.missing")
            elif not locate_entry(entry, self._models_dir).available:
                states[entry.key] = say("models.untried")
        return states


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"(?P<what>models|loras):(?P<page>-?\d{1,6}):(?P<model>[a-z0-9._-]*)",
):
    """Turns to a page. Its id says which, so that it works on messages from before a restart."""

    def __init__(
        self, what: What, page: int, model: str, label: str = "", enabled: bool = True
    ) -> None:
        super().__init__(
            discord.ui.Button(label=label, custom_id=f"{what}:{page}:{model}", disabled=not enabled)
        )
        self.what, self.page, self.model = what, page, model

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        what: What = "models" if match["what"] == "models" else "loras"
        return cls(what, int(match["page"]), match["model"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await guarded(interaction, self._turn(interaction))

    async def _turn(self, interaction: Interaction) -> None:
        cog = interaction.client.get_cog(CatalogCog.__cog_name__)
        if isinstance(cog, CatalogCog):
            embed, view = await cog.page(interaction, self.what, self.page, self.model or None)
            await interaction.response.edit_message(embed=embed, view=view)


async def setup(bot: ImagenBot) -> None:
    backend = bot.services.backend
    models_dir = backend.settings.models_dir.absolute()
    await bot.add_cog(CatalogCog(bot.services.texts, backend.catalog, models_dir, backend.loaded))
    bot.add_dynamic_items(PageButton)
