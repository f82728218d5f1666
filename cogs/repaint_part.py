"""🖌️ Repaint a part: an image of a result under a grid, a select of its squares, and a form."""

import asyncio
import logging
from collections.abc import Mapping
from io import BytesIO
from math import inf
from typing import Final

import discord

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked, picks
from bot.chat.forms import entered_into, open_form
from bot.chat.here import Here, here_of
from bot.chat.ui.actions import PartId
from bot.chat.ui.forms.fields import PROMPT
from bot.chat.ui.forms.repaint_part import AREA, STRENGTH, part_form
from bot.chat.ui.messages import alt_text
from bot.chat.ui.repainting import PartFormId, PartOfId, PartSquaresId, images_view, squares_view
from bot.errors import InvalidRequest, Refused, UserError
from bot.files.given import holding
from bot.files.grid import draw_grid, draw_mask
from bot.files.inputs import MASK
from bot.request import WHOLE, Composed, Picture, compose_with_notes, redraft
from bot.request.pictures import STRENGTH_OF_PART
from bot.request.repainting import repainted
from bot.store import Discord, Job
from catalog import Catalog
from cogs.result_pictures import PictureService, ResultPictures
from cogs.results import Results, ServiceComponent, check_generated

log = logging.getLogger(__name__)

GRID_FILE: Final = "grid.webp"
AT_ONCE: Final = 2
"""How many grids are drawn at a time: a picture has to be decoded for each."""


class PartPainter(PictureService):
    """Asks for the part and for what is to be there, and queues it."""

    def __init__(self, results: Results, pictures: ResultPictures, adapters_max: int) -> None:
        super().__init__(results, pictures, adapters_max)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def ask_image(self, interaction: Interaction, job_id: str) -> None:
        """Ask which image, or if there is only one, which part of it."""
        job = await self._job(interaction, job_id)
        numbers = [image.n for image in await self._pictures.kept(job)]
        if len(numbers) == 1:
            await self._show_grid(interaction, job, numbers[0])
            return
        say = here_of(interaction).say
        view = images_view(say, job.id, numbers)
        await interaction.response.send_message(say("pick.part_of"), view=view, ephemeral=True)

    async def ask_squares(self, interaction: Interaction, job_id: str, n: int) -> None:
        """Ask which part of image `n`."""
        await self._show_grid(interaction, await self._job(interaction, job_id), n)

    async def open(
        self, interaction: Interaction, form: PartFormId, fields: Mapping[str, str] | None = None
    ) -> None:
        """Open the form. fields: what was entered before. Raises Refused if the result is gone."""
        job = await self._job(interaction, form.job_id)
        await self._pictures.promised(job, form.n)
        catalog = await self.results.offered(interaction, *job.request.names)
        if fields is None:
            draft = redraft(job.request, catalog, nsfw=here_of(interaction).nsfw, n=form.n)
            fields = {PROMPT: draft.prompt, STRENGTH: f"{STRENGTH_OF_PART:g}", AREA: WHOLE}
        names = ", ".join(_squares_of(form))
        await open_form(interaction, part_form(here_of(interaction).say, form, fields, names))

    async def submit(
        self, interaction: Interaction, form: PartFormId, fields: Mapping[str, str]
    ) -> None:
        """Queue what was entered. A mistake is named, and the form can be opened again as it was.

        Raises Refused if the result is gone or may not be used here.
        """
        job = await self._job(interaction, form.job_id)
        names = _squares_of(form)
        try:
            catalog = await self.results.offered(interaction, *job.request.names, fields[PROMPT])
            promised = await self._pictures.promised(job, form.n)
            here = here_of(interaction)
            self._composed(job, form.n, promised, promised, fields, catalog, here)
            # Its image is encoded once more, which may take longer than Discord waits.
            await self.results.postpone(interaction, job)
            async with holding(self.results.store, self._pictures.inputs) as keep:
                image = await self._pictures.take(job, form.n, "image", keep)
                drawn = await asyncio.to_thread(draw_mask, names, (image.width, image.height))
                mask = Picture(await keep(drawn, MASK), image.width, image.height)
                composed = self._composed(job, form.n, image, mask, fields, catalog, here)
                await self.results.ask(
                    interaction,
                    composed.request,
                    kind="part",
                    parent=job,
                    warnings=composed.notes,
                    catalog=catalog,
                )
        except UserError as error:
            await self.results.send_back(interaction, form, fields, error)

    async def _job(self, interaction: Interaction, job_id: str) -> Job:
        job = await self.results.usable(interaction, job_id)
        check_generated(job)
        return job

    async def _show_grid(self, interaction: Interaction, job: Job, n: int) -> None:
        path = await self._pictures.path(job, n)
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            async with self._at_once:
                data = await asyncio.to_thread(draw_grid, path)
        except (OSError, SyntaxError, ValueError) as error:
            log.warning("job %s: an image cannot be read: %s", job.id, type(error).__name__)
            raise Refused("action.pruned") from None
        say = here_of(interaction).say
        file = discord.File(
            BytesIO(data),
            GRID_FILE,
            spoiler=Discord.of(job.origin).spoiler,
            description=alt_text(job.request.alone(n).prompt),
        )
        await interaction.followup.send(
            say("pick.part"), file=file, view=squares_view(say, job.id, n), ephemeral=True
        )

    def _composed(
        self,
        job: Job,
        n: int,
        image: Picture,
        mask: Picture,
        fields: Mapping[str, str],
        catalog: Catalog,
        here: Here,
    ) -> Composed:
        draft = repainted(
            job.request,
            n,
            image,
            mask,
            catalog,
            nsfw=here.nsfw,
            prompt=fields[PROMPT],
            strength=_strength(fields[STRENGTH]),
            area=fields[AREA] or WHOLE,  # the form may have been opened before there was one
            pixels_max=here.rules.pixels_max or inf,
        )
        return compose_with_notes(
            draft,
            catalog,
            nsfw=here.nsfw,
            # What was painted once stays possible, whatever the limit is now.
            adapters_max=max(self._adapters_max, len(job.request.adapters)),
        )


def _strength(text: str) -> float:
    """What was entered, with a decimal point or comma; what is usual for nothing."""
    if not text.strip():
        return STRENGTH_OF_PART
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InvalidRequest("strength", "form.number", value=text) from None


def _squares_of(form: PartFormId) -> tuple[str, ...]:
    try:
        return form.squares
    except ValueError as error:
        raise Refused("error.component") from error


class PartButton(ServiceComponent[PartId, PartPainter]):
    ids = PartId

    async def use(self, interaction: Interaction, custom_id: PartId) -> None:
        await self._service.ask_image(interaction, custom_id.job_id)


class PartOfSelect(ServiceComponent[PartOfId, PartPainter]):
    ids = PartOfId

    async def use(self, interaction: Interaction, custom_id: PartOfId) -> None:
        number = picked(interaction)
        if not (number.isascii() and number.isdecimal()):
            raise Refused("error.component")
        await self._service.ask_squares(interaction, custom_id.job_id, int(number))


class PartSquaresSelect(ServiceComponent[PartSquaresId, PartPainter]):
    ids = PartSquaresId

    async def use(self, interaction: Interaction, custom_id: PartSquaresId) -> None:
        try:
            form = PartFormId.of(custom_id.job_id, custom_id.n, picks(interaction))
        except ValueError as error:
            raise Refused("error.component") from error
        await self._service.open(interaction, form)


class PartForm(ServiceComponent[PartFormId, PartPainter]):
    ids = PartFormId

    async def use(self, interaction: Interaction, custom_id: PartFormId) -> None:
        fields = entered_into(interaction, (PROMPT, STRENGTH, AREA))
        await self._service.submit(interaction, custom_id, fields)


async def setup(bot: ImagenBot) -> None:
    painter = PartPainter.of(bot)
    bot.components.add(
        PartButton(painter),
        PartOfSelect(painter),
        PartSquaresSelect(painter),
        PartForm(painter),
    )
