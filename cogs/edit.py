"""✏️ Edit and 🖼️ Use as…: a form with everything about a result, to change any of it."""

import asyncio
import contextlib
import logging
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.errors import UNREACHABLE, sentence
from bot.chat.forms import entered, open_form
from bot.chat.places import age_restricted
from bot.chat.ui.actions import EditId, UseId, routed_button
from bot.chat.ui.forms import EditFormId, ReopenId, edit_form
from bot.chat.ui.picking import UseAsId, uses_view
from bot.errors import Refused, UserError
from bot.files.given import Keep, holding
from bot.files.inputs import Inputs
from bot.request import Picture, compose
from bot.request.changes import Fields, changed, fields_of
from bot.store import Job, discord_person
from bot.store.forms import Entered
from catalog import Catalog, ModelEntry
from cogs.results import Results

log = logging.getLogger(__name__)

Interaction = discord.Interaction[ImagenBot]
START, REFERENCE = "start", "reference"
PICKED = re.compile(f"({START}|{REFERENCE}) ([0-9]{{1,2}})")


class Editor:
    """Opens the form for a result, and makes a request of what was entered.

    images_dir: where the generated images are. adapters_max: LoRAs that a user may combine.
    """

    def __init__(
        self, results: Results, inputs: Inputs, images_dir: Path, adapters_max: int
    ) -> None:
        self.results = results
        self._inputs = inputs
        self._images_dir = images_dir
        self._adapters_max = adapters_max

    async def open_for(self, interaction: Interaction, job: Job) -> None:
        """Open it with what the result was made with."""
        self.results.check_usable(interaction, job)
        await self._open(interaction, EditFormId(job.id), fields_of(job.request))

    async def ask_use(self, interaction: Interaction, job: Job) -> None:
        """Ask which image of the result to use, and for what. Raises Refused if there is none."""
        self.results.check_usable(interaction, job)
        say = self.results.say(interaction)
        kept = [i.n for i in await self.results.store.images(job.id) if i.pruned_at is None]
        if not kept:
            raise Refused("action.pruned")
        references = self.results.catalog.current.reference is not None
        view = uses_view(say, job.id, kept, references=references)
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
            await self.results.postpone(interaction, job)  # its image is encoded once more
        try:
            async with holding(self.results.store, self._inputs) as keep:
                image, reference = await self._pictures(job, form, keep)
                await self._ask(interaction, job, fields, image, reference)
        except UserError as error:
            await self._send_back(interaction, form, fields, error)

    async def reopen(self, interaction: Interaction, form_id: str) -> None:
        """Open a form again as it was sent back. Raises Refused if it is too old."""
        person = discord_person(interaction.user.id)
        found = await self.results.store.forms.find(form_id, person)
        if found is None:
            raise Refused("form.gone")
        form = EditFormId.parse(found.of)
        await self.results.usable(interaction, form.job_id)
        await self._open(interaction, form, Fields(**found.fields))

    async def _pictures(
        self, job: Job, form: EditFormId, keep: Keep
    ) -> tuple[Picture | None, Picture | None]:
        """The image to paint over and the reference: those of the request, or one of its result."""
        request = job.request
        start = reference = None
        if form.role == START:
            start = await self._result_picture(job, form.image, "image", keep)
        elif request.init_image is not None:
            start = await self._picture(request.init_image.sha256)
        if form.role == REFERENCE:
            reference = await self._result_picture(job, form.image, "reference", keep)
        elif request.reference is not None:
            reference = await self._picture(request.reference.sha256)
        return start, reference

    async def _picture(self, sha256: str) -> Picture:
        try:
            return Picture(sha256, *await self._inputs.size(sha256))
        except (OSError, ValueError):
            raise Refused("picture.gone") from None

    async def _result_picture(self, job: Job, n: str, field: str, keep: Keep) -> Picture:
        images = {str(image.n): image for image in await self.results.store.images(job.id)}
        image = images.get(n)
        if image is None or image.pruned_at is not None:
            raise Refused("action.pruned")
        try:
            data = await asyncio.to_thread((self._images_dir / image.path).read_bytes)
        except OSError as error:
            log.warning("job %s: an image cannot be read: %s", job.id, error.strerror)
            raise Refused("action.pruned") from None
        sha256 = await keep(data, field)
        return Picture(sha256, *await self._inputs.size(sha256))

    async def _ask(
        self,
        interaction: Interaction,
        job: Job,
        fields: Fields,
        image: Picture | None,
        reference: Picture | None,
    ) -> None:
        before = self.results.catalog.current.models.get(job.request.model)
        draft = changed(job.request, fields, before=before, image=image, reference=reference)
        catalog = await self.results.catalog.knowing(*draft.names)
        request = compose(
            draft,
            catalog,
            nsfw=age_restricted(interaction.channel),
            adapters_max=self._adapters_max,
        )
        await self.results.ask(interaction, request, kind="edit", parent=job, catalog=catalog)

    async def _send_back(
        self, interaction: Interaction, form: EditFormId, fields: Fields, error: UserError
    ) -> None:
        say = self.results.say(interaction)
        kept = Entered(str(form), {name: str(value) for name, value in asdict(fields).items()})
        person = discord_person(interaction.user.id)
        form_id = await self.results.store.forms.keep(person, kept)
        view = discord.ui.View(timeout=None)
        primary = discord.ButtonStyle.primary
        view.add_item(routed_button(say("button.reopen"), ReopenId(form_id), "✏️", primary))
        text = sentence(error, say) or ""
        if interaction.response.is_done():
            with contextlib.suppress(*UNREACHABLE):
                await interaction.delete_original_response()
            await interaction.followup.send(text, view=view, ephemeral=True)
        else:
            await interaction.response.send_message(text, view=view, ephemeral=True)


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


class ReopenButton(Component[ReopenId]):
    ids = ReopenId

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def check(self, interaction: Interaction, custom_id: ReopenId) -> None:
        self._editor.results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: ReopenId) -> None:
        await self._editor.reopen(interaction, custom_id.form_id)


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
        picked = PICKED.fullmatch(str(next(iter(data.get("values", ())), "")))
        if picked is None:
            raise Refused("error.component")
        await self._editor.open_with(interaction, EditFormId(custom_id.job_id, *picked.groups()))


def _best_models(catalog: Catalog, first: str, *, nsfw: bool) -> list[ModelEntry]:
    """The models on offer: the one of the request, the default, then as /models lists them."""
    offered = list(catalog.offered_models(nsfw=nsfw))
    front = (first, catalog.default)
    return sorted(offered, key=lambda model: front.index(model.key) if model.key in front else 2)


def editor_of(bot: ImagenBot) -> Editor:
    backend = bot.services.backend
    settings = backend.settings
    return Editor(
        Results.of(bot), backend.inputs, settings.images_dir.absolute(), settings.max_adapters
    )


async def setup(bot: ImagenBot) -> None:
    editor = editor_of(bot)
    for component in (
        EditButton(editor),
        EditForm(editor),
        ReopenButton(editor),
        UseButton(editor),
        UseAsSelect(editor),
    ):
        bot.components.add(component)
