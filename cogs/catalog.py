"""/models, /loras and /embeddings: what is on offer."""

from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.chat.ui.browsing import SEARCH_MAX, Filter
from bot.chat.ui.choices import tag_choices
from bot.chat.ui.shelves import offered_on, tags_of
from bot.previews import Shelf
from catalog import LiveCatalog
from cogs.browsing import Browsing, browsing_of
from cogs.completing import Choices, complete_model

Words = app_commands.Range[str, 1, SEARCH_MAX]


class CatalogCog(commands.Cog):
    """Shows the catalog privately, page by page."""

    def __init__(self, catalog: LiveCatalog, browsing: Browsing) -> None:
        self._catalog = catalog
        self._browsing = browsing

    @app_commands.command(description="command.models.description")
    @app_commands.describe(search="command.models.options.search", tag="command.models.options.tag")
    async def models(
        self, interaction: Interaction, search: Words | None = None, tag: Words | None = None
    ) -> None:
        limits = Filter(words=search or "", tag=tag or "")
        await self._browsing.send(interaction, Shelf.MODELS, limits)

    @app_commands.command(description="command.loras.description")
    @app_commands.describe(
        search="command.models.options.search",
        model="command.loras.model",
        tag="command.models.options.tag",
    )
    @app_commands.autocomplete(model=complete_model)
    async def loras(
        self,
        interaction: Interaction,
        search: Words | None = None,
        model: str | None = None,
        tag: Words | None = None,
    ) -> None:
        limits = Filter(model=model or "", words=search or "", tag=tag or "")
        await self._browsing.send(interaction, Shelf.LORAS, limits)

    @app_commands.command(description="command.embeddings.description")
    @app_commands.describe(search="command.models.options.search")
    async def embeddings(self, interaction: Interaction, search: Words | None = None) -> None:
        await self._browsing.send(interaction, Shelf.EMBEDDINGS, Filter(words=search or ""))

    @models.autocomplete("tag")
    async def _complete_model_tag(self, interaction: Interaction, text: str) -> Choices:
        return self._tags(interaction, Shelf.MODELS, text)

    @loras.autocomplete("tag")
    async def _complete_lora_tag(self, interaction: Interaction, text: str) -> Choices:
        return self._tags(interaction, Shelf.LORAS, text)

    def _tags(self, interaction: Interaction, shelf: Shelf, text: str) -> list[Choice[str]]:
        here = here_of(interaction)
        offered = offered_on(here.offered(self._catalog.current), shelf, nsfw=here.nsfw)
        return tag_choices(text, tags_of(offered))


async def setup(bot: ImagenBot) -> None:
    catalog = bot.services.backend.catalog
    await bot.add_cog(CatalogCog(catalog, browsing_of(bot)))
