"""✏️ Edit and 🖼️ Use as…: a form with everything about a result, to change any of it."""

import logging
import re
import zlib
from dataclasses import asdict, replace

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.forms import entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import EditId, ImagineWordsId, UseId
from bot.chat.ui.forms.edit import EditFormId, edit_form
from bot.chat.ui.picking import UseAsId, uses_view
from bot.errors import Refused, UserError
from bot.files.given import holding
from bot.request import (
    REFERENCE_WEIGHT,
    STRENGTH,
    Composed,
    GenerationRequest,
    InitImage,
    Picture,
    Reference,
    compose_with_notes,
    imagined,
)
from bot.request.changes import Fields, changed, fields_of
from bot.store import Job
from catalog import Catalog, ControlNetEntry, ModelEntry
from cogs.result_pictures import PictureService
from cogs.results import ServiceComponent

log = logging.getLogger(__name__)

START, REFERENCE, CONTROL = "start", "reference", "control"
STRENGTHS = {START: ("strength", STRENGTH), REFERENCE: ("reference weight", REFERENCE_WEIGHT)}
"""The line of the form that says how much the image counts: lowest, usual, highest."""
PICKED = re.compile(f"({START}|{REFERENCE}|{CONTROL}) ([0-9]{{1,2}})")


class Editor(PictureService):
    """Opens the form for a result, and makes a request of what was entered."""

    async def open_for(self, interaction: Interaction, job: Job) -> None:
        """Open it with what the result was made with, or with the words for an image as the prompt.
        Raises Refused for an enlarged image."""
        self.results.check_usable(interaction, job)
        if job.request.upscale is not None:
            raise Refused("action.enlarged")
        request = self._changed(interaction, job)
        await self._open(interaction, EditFormId(job.id), fields_of(request))

    def _changed(self, interaction: Interaction, job: Job) -> GenerationRequest:
        """The request that the form changes: that of `job`, or one for what it describes."""
        if job.request.describe is None:
            return job.request
        if job.words is None:
            raise Refused("action.none")
        here = here_of(interaction)
        return imagined(
            job.words,
            (job.request.width, job.request.height),
            here.offered(self.results.catalog.current),
            nsfw=here.nsfw,
            seed=zlib.crc32(job.id.encode()),
        )

    async def ask_use(self, interaction: Interaction, job: Job) -> None:
        """Ask which image of the result to use, and for what. Raises Refused if there is none."""
        self.results.check_usable(interaction, job)
        if job.request.describe is not None:
            raise Refused("action.described")
        if job.request.comparison is not None:
            raise Refused("action.open_first")
        say = here_of(interaction).say
        numbers = [image.n for image in await self._pictures.kept(job)]
        references = self.results.catalog.current.reference_for(job.request.model) is not None
        controls = bool(self._controlnets(interaction, job))
        view = uses_view(say, job.id, numbers, references=references, controls=controls)
        await interaction.response.send_message(say("pick.use"), view=view, ephemeral=True)

    async def open_with(self, interaction: Interaction, form: EditFormId) -> None:
        """Open it for one of the result's images."""
        job = await self.results.usable(interaction, form.job_id)
        request = job.request
        if form.role == START and request.init_image and request.init_image.keeps:
            request = replace(request, init_image=None)  # how much was kept is said of another
        fields = fields_of(request)
        line, usual = self._line(interaction, job, form)
        if not re.search(f"^{line}: ", fields.more, re.MULTILINE):
            fields = replace(fields, more=f"{fields.more}\n{line}: {usual}")
        await self._open(interaction, form, fields)

    def _line(self, interaction: Interaction, job: Job, form: EditFormId) -> tuple[str, str]:
        """The line of the form that is about the image, and what it usually says.

        Raises Refused if no ControlNet is offered here for the job's model.
        """
        if form.role != CONTROL:
            line, (_, usual, _) = STRENGTHS[form.role]
            return line, f"{usual:g}"
        if not (offered := self._controlnets(interaction, job)):
            family = self.results.catalog.current.family_of(job.request.model)
            raise Refused("control.none", family=family.name)
        return CONTROL, offered[0].key

    def _controlnets(self, interaction: Interaction, job: Job) -> tuple[ControlNetEntry, ...]:
        """Those that are offered here for the job's model, the default first."""
        catalog = self.results.catalog.current
        model = catalog.models.get(job.request.model)
        nsfw = here_of(interaction).nsfw
        return catalog.controlnets.offered(nsfw=nsfw, model=model) if model else ()

    async def _open(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        here = here_of(interaction)
        offered = here.offered(self.results.catalog.current)
        models = best_models(offered, fields.model, nsfw=here.nsfw)
        await open_form(interaction, edit_form(here.say, form, fields, models))

    async def submit(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        """Queue what was entered. A mistake is named, and the form can be opened again as it was.

        Raises Refused if the result is gone or may not be used here.
        """
        job = await self._job(interaction, form)
        try:
            if not form.role:
                await self._ask(interaction, job, form, fields, None)
                return
            number = int(form.image) if form.image.isdecimal() else -1
            picked = await self._pictures.promised(job, number)
            await self._composed(interaction, job, form, fields, picked)
            # Its image is encoded once more, which may take longer than Discord waits.
            await self.results.postpone(interaction, job)
            async with holding(self.results.store, self._pictures.inputs) as keep:
                picked = await self._pictures.take(job, number, "image", keep)
                await self._ask(interaction, job, form, fields, picked)
        except UserError as error:
            await self.results.send_back(interaction, form, asdict(fields), error)

    async def reopen(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        """Open it again as it was sent back. Raises Refused if its result is gone."""
        await self._job(interaction, form)
        await self._open(interaction, form, fields)

    async def _job(self, interaction: Interaction, form: EditFormId) -> Job:
        """The job that is changed; where one of its images is used, it has a result."""
        find = self.results.usable if form.role else self.results.askable
        return await find(interaction, form.job_id)

    async def _ask(
        self,
        interaction: Interaction,
        job: Job,
        form: EditFormId,
        fields: Fields,
        picked: Picture | None,
    ) -> None:
        composed, catalog = await self._composed(interaction, job, form, fields, picked)
        await self.results.ask(
            interaction,
            composed.request,
            kind="edit",
            parent=job,
            warnings=composed.notes,
            catalog=catalog,
        )

    async def _composed(
        self,
        interaction: Interaction,
        job: Job,
        form: EditFormId,
        fields: Fields,
        picked: Picture | None,
    ) -> tuple[Composed, Catalog]:
        """The request that was entered, and the catalog that knows what it names.

        picked: the image of the result to use; None to keep those of its request. Raises UserError.
        """
        old = self._changed(interaction, job)
        start = old.init_image if form.role != START else None
        reference = old.reference
        mask = start and start.mask
        draft = changed(
            old,
            fields,
            before=self.results.catalog.current.models.get(old.model),
            image=picked if form.role == START else await self._picture(start),
            mask=await self._kept(mask) if mask else None,
            reference=picked if form.role == REFERENCE else await self._picture(reference),
            pictures=tuple([await self._kept(sha256) for sha256 in old.pictures]),
            control_images=(picked,)
            if picked and form.role == CONTROL
            else tuple([await self._kept(use.sha256) for use in old.controls]),
            controlnets=self.results.catalog.current.controlnets,
        )
        catalog = await self.results.offered(interaction, *draft.names)
        composed = compose_with_notes(
            draft,
            catalog,
            nsfw=here_of(interaction).nsfw,
            # What was painted once stays possible, whatever the limit is now.
            adapters_max=max(self._adapters_max, len(old.adapters)),
            hashes=await self.results.store.known_weights.hashes(*draft.names),
        )
        return composed, catalog

    async def _picture(self, used: InitImage | Reference | None) -> Picture | None:
        return None if used is None else await self._kept(used.sha256)

    async def _kept(self, sha256: str) -> Picture:
        try:
            return Picture(sha256, *await self._pictures.inputs.size(sha256))
        except (OSError, ValueError):
            raise Refused("picture.gone") from None


class EditButton(ServiceComponent[EditId, Editor]):
    ids = EditId

    async def use(self, interaction: Interaction, custom_id: EditId) -> None:
        job = await self._results.askable(interaction, custom_id.job_id)
        await self._service.open_for(interaction, job)


class ImagineWordsButton(ServiceComponent[ImagineWordsId, Editor]):
    """Opens the form with the words for an image."""

    ids = ImagineWordsId

    async def use(self, interaction: Interaction, custom_id: ImagineWordsId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        if job.request.describe is None:
            raise Refused("error.component")
        await self._service.open_for(interaction, job)


class EditForm(ServiceComponent[EditFormId, Editor]):
    ids = EditFormId

    async def use(self, interaction: Interaction, custom_id: EditFormId) -> None:
        fields = Fields(**entered_into(interaction, Fields.__slots__))
        await self._service.submit(interaction, custom_id, fields)


class UseButton(ServiceComponent[UseId, Editor]):
    """Asks which image of the result to use, and for what."""

    ids = UseId

    async def use(self, interaction: Interaction, custom_id: UseId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        await self._service.ask_use(interaction, job)


class UseAsSelect(ServiceComponent[UseAsId, Editor]):
    """Opens the form with the image that was picked."""

    ids = UseAsId

    async def use(self, interaction: Interaction, custom_id: UseAsId) -> None:
        found = PICKED.fullmatch(picked(interaction))
        if found is None:
            raise Refused("error.component")
        await self._service.open_with(interaction, EditFormId(custom_id.job_id, *found.groups()))


def best_models(catalog: Catalog, first: str, *, nsfw: bool) -> list[ModelEntry]:
    """The models on offer: the one of the request, the default, then as /models lists them.

    Raises Refused if none is: Discord takes no form with an empty select.
    """
    offered = list(catalog.offered_models(nsfw=nsfw))
    if not offered:
        raise Refused("model.none")
    front = (first, catalog.default)
    return sorted(offered, key=lambda model: front.index(model.key) if model.key in front else 2)


async def setup(bot: ImagenBot) -> None:
    editor = Editor.of(bot)
    bot.components.add(
        EditButton(editor),
        ImagineWordsButton(editor),
        EditForm(editor),
        UseButton(editor),
        UseAsSelect(editor),
    )
