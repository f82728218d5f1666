"""/models, /loras and /embeddings: what is on offer."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.ui.choices import model_choices
from bot.chat.ui.custom_id import CustomId, Routed
from bot.chat.ui.markdown import escaped
from bot.chat.ui.pages import embeddings_page, loras_page, models_page, show_reading
from bot.request import default_model, find_model
from bot.texts.language import Say
from catalog import LiveCatalog, ModelEntry, locate_entry, problems_of

Interaction = discord.Interaction[ImagenBot]


@dataclass(frozen=True)
class PageId(CustomId):
    """A page of the catalog, from 0. model: key of the model to list LoRAs for, or ""."""

    page: int
    model: str = ""


class ModelsPageId(PageId):
    prefix: ClassVar[str] = "models"


class LorasPageId(PageId):
    prefix: ClassVar[str] = "loras"


class EmbeddingsPageId(PageId):
    prefix: ClassVar[str] = "embeddings"


class CatalogCog(commands.Cog):
    """Shows the catalog privately, page by page."""

    def __init__(
        self,
        catalog: LiveCatalog,
        models_dir: Path,
        loaded: Callable[[], Collection[str]],
    ) -> None:
        self._catalog = catalog
        self._models_dir = models_dir
        self._loaded = loaded

    @app_commands.command(description="command.models.description")
    @app_commands.guild_only()
    async def models(self, interaction: Interaction) -> None:
        embed, view = await self.page(interaction, ModelsPageId(0))
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @app_commands.command(description="command.loras.description")
    @app_commands.describe(model="command.loras.model")
    @app_commands.guild_only()
    async def loras(self, interaction: Interaction, model: str | None = None) -> None:
        embed, view = await self.page(interaction, LorasPageId(0, model or ""))
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @loras.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        here = here_of(interaction)
        return model_choices(text, here.offered(self._catalog.current), nsfw=here.nsfw)

    @app_commands.command(description="command.embeddings.description")
    @app_commands.guild_only()
    async def embeddings(self, interaction: Interaction) -> None:
        embed, view = await self.page(interaction, EmbeddingsPageId(0))
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    async def page(
        self, interaction: Interaction, wanted: PageId
    ) -> tuple[discord.Embed, discord.ui.View]:
        """The wanted page, or the nearest that exists, and its buttons.

        Raises InvalidRequest when the model is not offered here.
        """
        here = here_of(interaction)
        say, nsfw, catalog = here.say, here.nsfw, here.offered(self._catalog.current)
        chosen = find_model(catalog, wanted.model, nsfw=nsfw) if wanted.model else None
        if isinstance(wanted, ModelsPageId):
            offered = (*catalog.offered_models(nsfw=nsfw), *catalog.refused_models(nsfw=nsfw))
            embed, page, pages = models_page(
                say,
                offered,
                wanted.page,
                default=default_model(catalog, nsfw=nsfw),
                loaded=self._loaded(),
                states=await asyncio.to_thread(self._states, say, offered),
            )
        elif isinstance(wanted, EmbeddingsPageId):
            embeddings = catalog.embeddings.offered(nsfw=nsfw)
            embed, page, pages = embeddings_page(say, embeddings, wanted.page, catalog=catalog)
        else:
            adapters = catalog.offered_adapters(nsfw=nsfw)
            embed, page, pages = loras_page(
                say, adapters, wanted.page, model=chosen, catalog=catalog, nsfw=nsfw
            )
        show_reading(embed, say, catalog)
        view = discord.ui.View(timeout=None)
        if pages > 1:
            shown = replace(wanted, page=page, model=chosen.key if chosen else "")
            before, after = replace(shown, page=page - 1), replace(shown, page=page + 1)
            view.add_item(_page_button(before, say("pages.previous"), enabled=page > 0))
            view.add_item(_page_button(after, say("pages.next"), enabled=page < pages - 1))
        return embed, view

    def _states(self, say: Say, models: tuple[ModelEntry, ...]) -> dict[str, str]:
        """Remarks on models whose files are missing or not downloaded yet. Reads the disk."""
        states = {}
        unfit = self._catalog.current.unfit_models
        for entry in models:
            if why := unfit.get(entry.key):
                states[entry.key] = say("models.unfit", what=escaped(why.what))
            elif problems_of(entry, self._models_dir):
                # Which files: the log and `main.py check` tell the owner.
                states[entry.key] = say("models.missing")
            elif not locate_entry(entry, self._models_dir).available:
                states[entry.key] = say("models.untried")
        return states


class PageButton(Component[PageId]):
    """Turns to the page named in its id, for anyone who sees the message."""

    def __init__(self, ids: type[PageId], cog: CatalogCog) -> None:
        self.ids = ids
        self._cog = cog

    async def use(self, interaction: Interaction, custom_id: PageId) -> None:
        embed, view = await self._cog.page(interaction, custom_id)
        await interaction.response.edit_message(embed=embed, view=view)


def _page_button(to: PageId, label: str, *, enabled: bool) -> Routed:
    button = discord.ui.Button[discord.ui.View](
        label=label, custom_id=str(to), disabled=not enabled
    )
    return Routed(button)


async def setup(bot: ImagenBot) -> None:
    backend = bot.services.backend
    models_dir = backend.settings.models_dir.absolute()
    cog = CatalogCog(backend.catalog, models_dir, backend.loaded)
    await bot.add_cog(cog)
    for ids in (ModelsPageId, LorasPageId, EmbeddingsPageId):
        bot.components.add(PageButton(ids, cog))
