"""Lists of results: what a person asked for, or kept, a page at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeAlias

import discord

from bot.chat.client import Interaction
from bot.chat.delivery.afterwards import Afterwards
from bot.chat.here import here_of
from bot.chat.ui.history import FAVOURITES, NEWER, SIZE, HistoryPageId, Listed, Page, page_layout
from bot.errors import Refused
from bot.files.thumbnails import Thumbnails
from bot.store import Discord, Job, discord_person, shown_images
from bot.store.forms import Entered
from bot.store.history import Query
from cogs.results import Results

Placed: TypeAlias = tuple[int, Job]
Fetch: TypeAlias = Callable[[int | None, int | None], Awaitable[list[Placed]]]
"""Results with their places: those before the first number, or the nearest after the second."""

BATCH: Final = 4 * SIZE
BATCHES_MAX: Final = 40
"""How much is gone through for one page when hardly anything may be shown here."""
TIMES: Final = {"since", "until"}
FORM: Final = "history"
"""What the query of a list is kept as, among the forms that were sent back."""


@dataclass(frozen=True, slots=True)
class _Visible:
    """found: newest first. more: whether there may be others beyond. reached: how far was looked,
    if that is not at the end. hidden: why some are not shown here, as codes of texts."""

    found: list[Placed]
    more: bool
    reached: int | None
    hidden: frozenset[str]


class Lists:
    """Builds their pages. What was made for an age-restricted channel is listed only in such."""

    def __init__(self, results: Results, thumbnails: Thumbnails, afterwards: Afterwards) -> None:
        self.results = results
        self._afterwards = afterwards
        self._store = results.store
        self._thumbnails = thumbnails

    async def keep(self, interaction: Interaction, query: Query) -> str:
        """An id of `query` for the buttons of its pages; it is kept for a day."""
        if query == Query():
            return ""
        given = {name: getattr(query, name) for name in Query.__slots__}
        fields = {name: str(value) for name, value in given.items() if value is not None}
        person = discord_person(interaction.user.id)
        return await self._store.forms.keep(person, Entered(FORM, fields))

    async def show(self, interaction: Interaction, wanted: HistoryPageId) -> None:
        """Answer with a page. interaction: deferred. Raises Refused if its query is too old."""
        query = await self._query(interaction, wanted)
        view, files = await self._drawn(interaction, wanted, query)
        await interaction.followup.send(view=view, files=files, ephemeral=True)

    async def turn(self, interaction: Interaction, wanted: HistoryPageId) -> None:
        """Replace the page that the button is on. Raises as `show`."""
        query = await self._query(interaction, wanted)
        await interaction.response.defer()
        view, files = await self._drawn(interaction, wanted, query)
        await interaction.edit_original_response(view=view, attachments=files)

    async def _drawn(
        self, interaction: Interaction, wanted: HistoryPageId, query: Query
    ) -> tuple[discord.ui.LayoutView, list[discord.File]]:
        here, person = here_of(interaction), discord_person(interaction.user.id)
        newer = wanted.way == NEWER
        seen = await self._visible(interaction, self._fetch(person, wanted, query), wanted)
        rows, files = await self._rows(person, seen.found)
        notes = [here.say(code) for code in sorted(seen.hidden)]
        if wanted.of != FAVOURITES and not await self._store.history.caught_up():
            notes.append(here.say("history.catching_up"))
        top, bottom = (rows[0].place, rows[-1].place) if rows else (wanted.at, wanted.at)
        if seen.reached is not None:
            top, bottom = (seen.reached, bottom) if newer else (top, seen.reached)
        page = Page(
            rows,
            older=bottom if newer or seen.more else None,
            newer=top if (seen.more if newer else wanted.at > 0) else None,
            notes=notes,
        )
        heading = here.say("history.compare_with" if wanted.first else _title(wanted.of))
        return page_layout(here.say, page, wanted, heading), files

    async def _query(self, interaction: Interaction, wanted: HistoryPageId) -> Query:
        if wanted.of in ("", FAVOURITES):
            return Query()
        person = discord_person(interaction.user.id)
        found = await self._store.forms.find(wanted.of, person)
        if found is None or found.of != FORM:
            raise Refused("history.old")
        given: dict[str, Any] = {**found.fields}
        for name in TIMES & given.keys():
            given[name] = int(given[name])
        return Query(**given)

    def _fetch(self, person: str, wanted: HistoryPageId, query: Query) -> Fetch:
        async def asked(before: int | None, after: int | None) -> list[Placed]:
            page = await self._store.history.page(person, query, BATCH, before=before, after=after)
            return [(found.number, found.job) for found in page]

        async def kept(before: int | None, after: int | None) -> list[Placed]:
            page = await self._store.favourites.page(person, BATCH, before=before, after=after)
            return [(found.kept_at, found.job) for found in page]

        return kept if wanted.of == FAVOURITES else asked

    async def _visible(
        self, interaction: Interaction, fetch: Fetch, wanted: HistoryPageId
    ) -> _Visible:
        """The page, from as many parts of the list as it takes, up to BATCHES_MAX."""
        newer, found, hidden = wanted.way == NEWER, list[Placed](), set[str]()
        at, reached = wanted.at or None, None
        for _ in range(BATCHES_MAX):
            batch = await fetch(None, at) if newer else await fetch(at, None)
            shown = []
            for each in batch:
                why = await self._why_not_here(interaction, each[1])
                hidden |= {why} if why else set()
                if why is None and each[1].id != wanted.first:
                    shown.append(each)
            found = [*shown, *found] if newer else [*found, *shown]
            if len(batch) < BATCH or len(found) > SIZE:
                break
            at = batch[0][0] if newer else batch[-1][0]
        else:
            reached = at if len(found) <= SIZE else None
        more = len(found) > SIZE or reached is not None
        kept = found[-SIZE:] if newer else found[:SIZE]
        return _Visible(kept, more, reached, frozenset(filter(None, hidden)))

    async def _why_not_here(self, interaction: Interaction, job: Job) -> str | None:
        """The code of the sentence that says why it is not listed here; None if it is."""
        if not isinstance(job.origin, Discord):
            return ""
        if not await self.results.sees(interaction, job):
            return "history.unseen"
        if here_of(interaction).nsfw:
            return None
        try:
            await self._afterwards.check_elsewhere(job)
        except Refused:
            return "history.gated"
        return None

    async def _rows(
        self, person: str, found: list[Placed]
    ) -> tuple[list[Listed], list[discord.File]]:
        made = await asyncio.gather(*(self._row(person, place, job) for place, job in found))
        rows = [row for row, _ in made]
        files = [
            discord.File(BytesIO(data), row.thumbnail)
            for row, data in made
            if data is not None and row.thumbnail is not None
        ]
        return rows, files

    async def _row(self, person: str, place: int, job: Job) -> tuple[Listed, bytes | None]:
        images = shown_images(job, await self._store.images(job.id))
        there = next((image for image in images if image.pruned_at is None), None)
        data = None if there is None else await self._thumbnails.of(job.id, there)
        catalog, key = self.results.catalog.current, job.request.made_with
        entry = catalog.models.get(key) or catalog.upscalers.entries.get(key)
        row = Listed(
            place=place,
            job=job,
            name=_describer(job) or (entry.name if entry else key),
            thumbnail=None if data is None else f"{job.id}.webp",
            pruned=there is None and job.request.describe is None,
            kept=await self._store.favourites.has(person, job.id),
        )
        return row, data


def _describer(job: Job) -> str:
    """The name of what wrote its words; "" if it has none."""
    return job.recipe.describer.name if job.recipe and job.recipe.describer else ""


def _title(of: str) -> str:
    if of == FAVOURITES:
        return "history.favourites"
    return "history.found" if of else "history.title"
