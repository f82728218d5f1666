"""The commands /history and /favourites."""

from datetime import UTC, datetime, timedelta
from typing import Final, cast, get_args

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.here import here_of
from bot.chat.ui.choices import adapter_choices, model_choices
from bot.chat.ui.history import FAVOURITES, HistoryPageId
from bot.errors import InvalidRequest
from bot.request import find_model
from bot.request.dates import day_of
from bot.store import Kind
from bot.store.history import Query
from catalog import Catalog
from cogs.history.lists import Lists
from cogs.results import Results

Interaction = discord.Interaction[ImagenBot]

WORDS_MAX: Final = 300
NAME_MAX: Final = 100
KINDS: Final = [
    Choice(name=locale_str(kind, code=f"history.kinds.{kind}"), value=kind)
    for kind in get_args(Kind)
]


class History(commands.Cog):
    """Both are private, and work in direct messages too."""

    def __init__(self, results: Results, lists: Lists) -> None:
        self._results = results
        self._lists = lists

    @app_commands.command(description="command.history.description")
    @app_commands.describe(
        words="command.history.words",
        model="command.history.model",
        lora="command.history.lora",
        since="command.history.from",
        until="command.history.to",
        kind="command.history.kind",
    )
    @app_commands.rename(since="from", until="to")
    @app_commands.choices(kind=KINDS)
    async def history(
        self,
        interaction: Interaction,
        words: app_commands.Range[str, 1, WORDS_MAX] | None = None,
        model: app_commands.Range[str, 1, NAME_MAX] | None = None,
        lora: app_commands.Range[str, 1, NAME_MAX] | None = None,
        since: app_commands.Range[str, 1, NAME_MAX] | None = None,
        until: app_commands.Range[str, 1, NAME_MAX] | None = None,
        kind: str | None = None,
    ) -> None:
        self._results.check_not_blocked(interaction)
        first, end = _span(since, until)
        catalog = self._results.catalog.current
        query = Query(
            words=words or "",
            model=None if model is None else _model(catalog, model),
            lora=None if lora is None else _lora(catalog, lora),
            since=first,
            until=end,
            kind=cast("Kind | None", kind),
        )
        await interaction.response.defer(ephemeral=True, thinking=True)
        of = await self._lists.keep(interaction, query)
        await self._lists.show(interaction, HistoryPageId(of))

    @app_commands.command(description="command.favourites.description")
    async def favourites(self, interaction: Interaction) -> None:
        self._results.check_not_blocked(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._lists.show(interaction, HistoryPageId(FAVOURITES))

    @history.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        catalog, nsfw = self._results.catalog.current, here_of(interaction).nsfw
        return model_choices(text, catalog, nsfw=nsfw)

    @history.autocomplete("lora")
    async def _complete_lora(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        here, catalog = here_of(interaction), self._results.catalog.current
        return adapter_choices(text, catalog, here.say, nsfw=here.nsfw, model=None)


def _span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """In milliseconds since the epoch: the beginning of the first day and the end of the last."""
    now = datetime.now(UTC)
    first = None if since is None else day_of(since, "from", now)
    last = None if until is None else day_of(until, "to", now)
    if first is not None and last is not None and first > last:
        raise InvalidRequest("from", "history.span", value=str(since), to=str(until))
    end = None if last is None else last + timedelta(days=1)
    return _ms(first), _ms(end)


def _ms(day: datetime | None) -> int | None:
    return None if day is None else round(day.timestamp() * 1000)


def _model(catalog: Catalog, typed: str) -> str:
    """The key of a model or upscaler, also of one that is offered nowhere any more: what was made
    with it is still to be found."""
    try:
        return find_model(catalog, typed, nsfw=True).key
    except InvalidRequest:
        return typed.strip()


def _lora(catalog: Catalog, typed: str) -> str:
    key = typed.strip().partition(":")[0].strip()
    named = (entry.key for entry in catalog.adapters.values() if entry.name == key)
    return key if key in catalog.adapters else next(named, key)
