"""/stats: what a person, or a server, has asked for, as a chart."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Final

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.chat.ui.stats import chart_of, since, stats_layout
from bot.files.charts import Chart, draw_chart
from bot.store import discord_community, discord_person, now_ms
from bot.store.figures import Tally
from catalog import Catalog
from cogs.results import Results

FILE: Final = "figures.png"
DAYS: Final = (7, 30, 90)
USUAL: Final = 30
NEARLY_ALL: Final = 0.95
CHOICES: Final = [
    Choice(name=locale_str(str(days), code=f"command.stats.last.{days}"), value=days)
    for days in DAYS
]


class Stats(commands.GroupCog, group_name="stats", group_description="command.stats.description"):
    """Both are private."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._drawing = asyncio.Semaphore(1)

    @app_commands.command(name="me", description="command.stats.me")
    @app_commands.describe(days="command.stats.days")
    @app_commands.choices(days=CHOICES)
    async def mine(self, interaction: Interaction, days: int = USUAL) -> None:
        self._results.check_not_blocked(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        first = since(datetime.now(UTC), days)
        person = discord_person(interaction.user.id)
        tally = await self._results.store.figures.of_person(person, _ms(first), now_ms() + 1)
        title = here_of(interaction).say("stats.mine")
        await self._show(interaction, tally, title, first, days)

    @app_commands.command(name="server", description="command.stats.server")
    @app_commands.describe(days="command.stats.days")
    @app_commands.choices(days=CHOICES)
    async def of_server(self, interaction: Interaction, days: int = USUAL) -> None:
        self._results.check_not_blocked(interaction)
        if interaction.guild_id is None or not interaction.permissions.manage_guild:
            raise app_commands.MissingPermissions(["manage_guild"])
        await interaction.response.defer(ephemeral=True, thinking=True)
        first = since(datetime.now(UTC), days)
        community = discord_community(interaction.guild_id)
        tally = await self._results.store.figures.of_community(community, _ms(first), now_ms() + 1)
        name = interaction.guild.name if interaction.guild else ""
        title = name or here_of(interaction).say("stats.server")
        await self._show(interaction, tally, title, first, days)

    async def _show(
        self, interaction: Interaction, tally: Tally, title: str, first: datetime, days: int
    ) -> None:
        here = here_of(interaction)
        catalog = here.offered(self._results.catalog.current)
        named = partial(_named, catalog=catalog, nsfw=here.nsfw)

        def draw() -> tuple[Chart, bytes, int | None]:
            chart = chart_of(here.say, tally, title, first, days, named)
            return chart, draw_chart(chart), tally.waited(NEARLY_ALL)

        async with self._drawing:
            chart, data, longest = await asyncio.to_thread(draw)
        await interaction.followup.send(
            view=stats_layout(here.say, chart, FILE, tally.ended, longest),
            files=[discord.File(BytesIO(data), FILE)],
            ephemeral=True,
        )


def _named(key: str, *, catalog: Catalog, nsfw: bool) -> str | None:
    """The name; None for what is not offered here, or only in age-restricted channels. catalog:
    what is offered here."""
    entry = (
        catalog.models.get(key) or catalog.adapters.get(key) or catalog.upscalers.entries.get(key)
    )
    if entry is not None:
        return entry.name if nsfw or not entry.nsfw else None
    # One that has left the catalog may have been for such channels.
    withheld = catalog.withholds_model(key) or catalog.withholds_adapter(key)
    return key if nsfw and not withheld else None


def _ms(day: datetime) -> int:
    return round(day.timestamp() * 1000)


async def setup(bot: ImagenBot) -> None:
    await bot.add_cog(Stats(Results.of(bot)))
