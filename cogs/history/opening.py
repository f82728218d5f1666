"""Opening a result from a list, and comparing two."""

import asyncio
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import discord

from bot.chat.client import Interaction
from bot.chat.components import Component, picks
from bot.chat.contexts import is_member
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.chat.ui.details import today_sentence
from bot.chat.ui.history import (
    SHOWN_AGAIN,
    CompareWithId,
    HistoryPageId,
    HistoryPickId,
    opened_rows,
    pair_differences,
    pair_layout,
)
from bot.errors import Refused
from bot.files.sheets.pair import draw_pair
from bot.store import Discord, Job, discord_person, shown_images
from cogs.details import Details
from cogs.history.lists import Lists
from cogs.places import can_see
from cogs.results import Results

PAIR_FILE = "pair.webp"


class ComparePicked:
    """Shows two results beside each other."""

    def __init__(self, results: Results, images_dir: Path) -> None:
        self._results = results
        self._images_dir = images_dir

    async def show(self, interaction: Interaction, jobs: tuple[Job, Job]) -> None:
        """interaction: deferred."""
        say = here_of(interaction).say
        paths = [await self._path(job) for job in jobs]
        picture, files = None, []
        if paths[0] is not None and paths[1] is not None:
            draw = partial(draw_pair, (paths[0], paths[1]))
            if (data := await asyncio.to_thread(draw)) is not None:
                picture, files = PAIR_FILE, [discord.File(BytesIO(data), PAIR_FILE)]
        differences = pair_differences(
            say, jobs[0].request, jobs[1].request, self._results.catalog.whole
        )
        view = pair_layout(say, jobs, picture, differences)
        await interaction.followup.send(view=view, files=files, ephemeral=True)

    async def _path(self, job: Job) -> Path | None:
        images = shown_images(job, await self._results.store.images(job.id))
        there = (image for image in images if image.pruned_at is None)
        return next((self._images_dir / image.path for image in there), None)


class Opening:
    """Shows a result privately, with what can be done with it."""

    def __init__(
        self, results: Results, delivery: Delivery, details: Details, pairs: ComparePicked
    ) -> None:
        self.results = results
        self._delivery = delivery
        self._details = details
        self._pairs = pairs

    async def open(self, interaction: Interaction, job_ids: Sequence[str]) -> None:
        """One result, or two beside each other.

        Raises Refused if the person neither asked for it nor kept it, or it may not be shown here.
        """
        jobs = [await self._listed(interaction, job_id) for job_id in job_ids]
        await interaction.response.defer(ephemeral=True, thinking=True)
        if len(jobs) == 2:
            await self._pairs.show(interaction, (jobs[0], jobs[1]))
            return
        [job] = jobs
        say, own = here_of(interaction).say, job.person == discord_person(interaction.user.id)
        notes = await self._about_files(interaction, job)
        send = is_member(interaction) and not Discord.of(job.origin).withheld
        actions = opened_rows(job.request, own=own, send=send)
        if not own and not can_see(interaction, Discord.of(job.origin)):
            actions = SHOWN_AGAIN  # nothing else can be done with it here
        content = await self._delivery.afterwards.opened(
            job, say, interaction.filesize_limit, actions, notes
        )
        await interaction.followup.send(
            view=content.parts["view"], files=content.files(), ephemeral=True
        )

    async def _listed(self, interaction: Interaction, job_id: str) -> Job:
        job = await self.results.seen(interaction, job_id)
        person = discord_person(interaction.user.id)
        if job.person != person and not await self.results.store.favourites.has(person, job.id):
            raise Refused("action.gone")
        if not here_of(interaction).nsfw:
            await self._delivery.afterwards.check_elsewhere(job)
        return job

    async def _about_files(self, interaction: Interaction, job: Job) -> list[str]:
        """Whether files were deleted, and what would come out if it were painted again."""
        images = shown_images(job, await self.results.store.images(job.id))
        if all(image.pruned_at is None for image in images):
            return []
        say, today = here_of(interaction).say, await self._details.today(job)
        notes = [say("history.files_pruned")]
        if today is not None:
            notes.append(f"{say('details.today')} {today_sentence(say, today)}")
        return notes


class PickSelect(Component[HistoryPickId]):
    """Opens what was chosen on a page."""

    ids = HistoryPickId

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def check(self, interaction: Interaction, custom_id: HistoryPickId) -> None:
        self._opening.results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: HistoryPickId) -> None:
        both = [*([custom_id.first] if custom_id.first else []), *picks(interaction)]
        if not 1 <= len(both) <= 2:
            raise Refused("error.component")
        await self._opening.open(interaction, both)


class CompareWithButton(Component[CompareWithId]):
    """Lists the results to compare one with."""

    ids = CompareWithId

    def __init__(self, results: Results, lists: Lists) -> None:
        self._results = results
        self._lists = lists

    async def check(self, interaction: Interaction, custom_id: CompareWithId) -> None:
        self._results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: CompareWithId) -> None:
        job = await self._results.seen(interaction, custom_id.job_id)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._lists.show(interaction, HistoryPageId(first=job.id))
