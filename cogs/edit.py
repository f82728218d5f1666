"""✏️ Edit and 🖼️ Use as…: a form with everything about a result, to change any of it."""

import logging
from dataclasses import asdict
from typing import Any

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.forms import entered, open_form
from bot.chat.places import age_restricted
from bot.chat.ui.actions import EditId, UseId
from bot.chat.ui.forms import EditFormId, edit_form
from bot.chat.ui.picking import UseAsId, uses_view
from bot.errors import InvalidRequest, Refused, UserError
from bot.files.given import Keep, holding
from bot.request import Composed, Picture, compose_with_notes
from bot.request.changes import Fields, changed, fields_of
from bot.store import Job
from catalog import Catalog, ModelEntry
from cogs.result_pictures import ResultPictures
from cogs.results import Results

log = logging.getLogger(__name__)

Interaction = discord.Interaction[ImagenBot]
START, REFERENCE = "start", "reference"


class Editor:
    """Opens the form for a result, and makes a request of what was entered.

    adapters_max: LoRAs that a user may combine.
    """

    def __init__(self, results: Results, pictures: ResultPictures, adapters_max: int) -> None:
        self.results = results
        self._pictures = pictures
        self._adapters_max = adapters_max

    async def open_for(self, interaction: Interaction, job: Job) -> None:
        """Open it with what the result was made with. Raises Refused for an enlarged image."""
        self.results.check_usable(interaction, job)
        if job.request.upscale is not None:
            raise Refused("action.enlarged")
        await self._open(interaction, EditFormId(job.id), fields_of(job.request))

    async def ask_use(self, interaction: Interaction, job: Job) -> None:
        """Ask which image of the result to use, and for what. Raises Refused if there is none."""
        self.results.check_usable(interaction, job)
        if job.request.comparison is not None:
            raise Refused("action.open_first")
        say = self.results.say(interaction)
        numbers = [image.n for image in await self._pictures.kept(job)]
        references = self.results.catalog.current.reference is not None
        view = uses_view(say, job.id, numbers, references=references)
        await interaction.response.send_message(say("pick.use"), view=view, ephemeral=True)

    async def open_with(self, interaction: Interaction, form: EditFormId) -> None:
        """Open it for one of the result's images."""
        job = await self.results.usable(interaction, form.job_id)
        await self._open(interaction, form, fields_of(job.request))

    async def _open(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        models = _best_models(
            self.results.catalog.current, fields.model, nsfw=age_restricted(interaction.channel)
        )
        await open_form(interaction, edit_form(self.results.say(interaction), form, fields, models))

    async def submit(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        """Queue what was entered. A mistake is named, and the form can be opened again as it was.

        Raises Refused if the result is gone or may not be used here.
        """
        job = await self.results.usable(interaction, form.job_id)
        if form.role:
            await self.results.defer(interaction, job)
        try:
            async with holding(self.results.store, self._pictures.inputs) as keep:
                image, reference = await self._chosen(job, form, keep)
                composed = await self._composed(interaction, job, fields, image, reference)
                await self.results.ask(
                    interaction,
                    composed.request,
                    kind="edit",
                    parent=job,
                    warnings=composed.notes,
                )
        except UserError as error:
            await self.results.send_back(interaction, form, asdict(fields), error)

    async def reopen(self, interaction: Interaction, form: EditFormId, fields: Fields) -> None:
        """Open it again as it was sent back. Raises Refused if its result is gone."""
        await self.results.usable(interaction, form.job_id)
        await self._open(interaction, form, fields)

    async def _chosen(
        self, job: Job, form: EditFormId, keep: Keep
    ) -> tuple[Picture | None, Picture | None]:
        """The image to paint over and the reference: those of the request, or one of its result."""
        request = job.request
        number = int(form.image) if form.image.isdecimal() else -1
        start = reference = None
        if form.role == START:
            start = await self._pictures.take(job, number, "image", keep)
        elif request.init_image is not None:
            start = await self._picture(request.init_image.sha256)
        if form.role == REFERENCE:
            reference = await self._pictures.take(job, number, "reference", keep)
        elif request.reference is not None:
            reference = await self._picture(request.reference.sha256)
        return start, reference

    async def _picture(self, sha256: str) -> Picture:
        try:
            return Picture(sha256, *await self._pictures.inputs.size(sha256))
        except (OSError, ValueError):
            raise Refused("picture.gone") from None

    async def _composed(
        self,
        interaction: Interaction,
        job: Job,
        fields: Fields,
        image: Picture | None,
        reference: Picture | None,
    ) -> Composed:
        before = self.results.catalog.current.models.get(job.request.model)
        draft = changed(job.request, fields, before=before, image=image, reference=reference)
        return compose_with_notes(
            draft,
            await self.results.catalog.knowing(*draft.names),
            nsfw=age_restricted(interaction.channel),
            adapters_max=self._adapters_max,
            hashes=await self.results.store.known_weights.hashes(*draft.names),
        )


class EditButton(Component[EditId]):
    ids = EditId

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def check(self, interaction: Interaction, custom_id: EditId) -> None:
        self._editor.results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: EditId) -> None:
        job = await self._editor.results.usable(interaction, custom_id.job_id)
        await self._editor.open_for(interaction, job)


class EditForm(Component[EditFormId]):
    ids = EditFormId

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def check(self, interaction: Interaction, custom_id: EditFormId) -> None:
        self._editor.results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: EditFormId) -> None:
        given = entered(interaction)
        fields = Fields(**{name: given.get(name, "") for name in Fields.__slots__})
        await self._editor.submit(interaction, custom_id, fields)


class UseButton(Component[UseId]):
    """Asks which image of the result to use, and for what."""

    ids = UseId

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def check(self, interaction: Interaction, custom_id: UseId) -> None:
        self._editor.results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: UseId) -> None:
        job = await self._editor.results.usable(interaction, custom_id.job_id)
        await self._editor.ask_use(interaction, job)


class UseAsSelect(Component[UseAsId]):
    """Opens the form with the image that was picked."""

    ids = UseAsId

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def check(self, interaction: Interaction, custom_id: UseAsId) -> None:
        self._editor.results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: UseAsId) -> None:
        data: dict[str, Any] = {**(interaction.data or {})}
        role, _, n = str(next(iter(data.get("values", ())), "")).partition(" ")
        if role not in (START, REFERENCE) or not n.isdecimal():
            raise InvalidRequest("image", "error.component")
        await self._editor.open_with(interaction, EditFormId(custom_id.job_id, role, n))


def _best_models(catalog: Catalog, first: str, *, nsfw: bool) -> list[ModelEntry]:
    """The models on offer: the one of the request, the default, then as /models lists them."""
    offered = list(catalog.offered_models(nsfw=nsfw))
    front = (first, catalog.default)
    return sorted(offered, key=lambda model: front.index(model.key) if model.key in front else 2)


def editor_of(bot: ImagenBot) -> Editor:
    adapters_max = bot.services.backend.settings.max_adapters
    return Editor(Results.of(bot), ResultPictures.of(bot), adapters_max)


async def setup(bot: ImagenBot) -> None:
    editor = editor_of(bot)
    for component in (
        EditButton(editor),
        EditForm(editor),
        UseButton(editor),
        UseAsSelect(editor),
    ):
        bot.components.add(component)
