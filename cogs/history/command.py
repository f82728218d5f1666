"""The commands /history and /favourites."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, cast, get_args

from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import Interaction
from bot.chat.here import here_of
from bot.chat.ui.history import FAVOURITES, HistoryPageId
from bot.errors import InvalidRequest, UserError
from bot.request import find_model
from bot.request.dates import day_of
from bot.store import Kind
from bot.store.history import Query
from bot.store.history.words import PIECES_MAX, pieces
from catalog import Catalog
from cogs.completing import complete_lora, complete_model
from cogs.history.lists import Lists
from cogs.results import Results

WORDS_MAX: Final = 300
NAME_MAX: Final = 100
KINDS: Final = [
    Choice(name=locale_str(kind, code=f"history.kinds.{kind}"), value=kind)
    for kind in get_args(Kind)
    if kind != "map"  # which is asked for over HTTP only
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
    @app_commands.autocomplete(model=complete_model, lora=complete_lora)
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
        first, end = span(since, until, here_of(interaction).locale)
        if (count := len(pieces(words or ""))) > PIECES_MAX:
            raise InvalidRequest("words", "history.words_many", value=count, max=PIECES_MAX)
        catalog, nsfw = self._results.catalog.whole, here_of(interaction).nsfw
        query = Query(
            words=words or "",
            model=None if model is None else model_key(catalog, model, nsfw=nsfw),
            lora=None if lora is None else lora_key(catalog, lora, nsfw=nsfw),
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


def span(since: str | None, until: str | None, locale: str) -> tuple[int | None, int | None]:
    """In milliseconds since the epoch: the beginning of the first day and the end of the last."""
    now = datetime.now(UTC)
    first = None if since is None else day_of(since, "from", now, locale)
    last = None if until is None else day_of(until, "to", now, locale)
    if first is not None and last is not None and first > last:
        raise InvalidRequest("from", "history.span", value=str(since), to=str(until))
    try:
        end = None if last is None else last + timedelta(days=1)
    except OverflowError:  # the last day that there is
        end = None
    return _ms(first), _ms(end)


def _ms(day: datetime | None) -> int | None:
    return None if day is None else round(day.timestamp() * 1000)


def model_key(catalog: Catalog, typed: str, *, nsfw: bool) -> str:
    """The key of a model or upscaler, also of one that is offered nowhere any more: what was made
    with it is still to be found. catalog: with those that are disabled."""
    models, upscalers = catalog.models.values(), catalog.upscalers.entries.values()
    named = [(each.key, each.name, each.nsfw) for each in models]
    named += [(each.key, each.name, each.nsfw) for each in upscalers]
    if (key := _named(named, typed, nsfw=nsfw)) is not None:
        return key
    try:
        return find_model(catalog, typed, nsfw=nsfw).key
    except UserError:
        return typed.strip()


def lora_key(catalog: Catalog, typed: str, *, nsfw: bool) -> str:
    """The same of a LoRA; a weight does not matter."""
    whole = typed.strip()
    named = [(each.key, each.name, each.nsfw) for each in catalog.adapters.values()]
    for text in (whole, whole.partition(":")[0].strip()):
        if (key := _named(named, text, nsfw=nsfw)) is not None:
            return key
    return whole.partition(":")[0].strip()


def _named(entries: Iterable[tuple[str, str, bool]], typed: str, *, nsfw: bool) -> str | None:
    """The key of the entry with that key or name; a name that may not be read here is no one's.

    entries: key, name, and whether it is only for age-restricted channels.
    """
    known, wanted = [*entries], typed.strip().casefold()
    by_key = (key for key, _, _ in known if key.casefold() == wanted)
    by_name = (key for key, name, gated in known if name.casefold() == wanted and nsfw >= gated)
    return next(by_key, None) or next(by_name, None)
