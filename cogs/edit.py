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
from bot.request import GenerationRequest, InitImage, Picture, Reference, compose
from bot.request.changes import Fields, changed, fields_of
from bot.store import ImageRecord, Job, discord_person
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
        try:
            record = await self._record(job, form.image) if form.role else None
            picked = None if record is None else Picture("", record.width, record.height)
            request, catalog = await self._compose(interaction, job, form, fields, picked)
            if record is None:
                await self._ask(interaction, job, request, catalog)
                return
            # Its image is encoded once more, which may take longer than Discord waits.
            await self.results.postpone(interaction, job)
            async with holding(self.results.store, self._inputs) as keep:
                picked = await self._kept(job, record, keep)
                request, catalog = await self._compose(interaction, job, form, fields, picked)
                await self._ask(interaction, job, request, catalog)
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

    async def _compose(
        self,
        interaction: Interaction,
        job: Job,
        form: EditFormId,
        fields: Fields,
        picked: Picture | None,
    ) -> tuple[GenerationRequest, Catalog]:
        """The request that was entered, and the catalog that knows what it names.

        picked: the image of the result to use; None to keep those of its request. Raises UserError.
        """
        old = job.request
        start, reference = old.init_image, old.reference
        draft = changed(
            old,
            fields,
            before=self.results.catalog.current.models.get(old.model),
            image=picked if form.role == START else await self._picture(start),
            reference=picked if form.role == REFERENCE else await self._picture(reference),
        )
        catalog = await self.results.catalog.knowing(*draft.names)
        nsfw = age_restricted(interaction.channel)
        return compose(draft, catalog, nsfw=nsfw, adapters_max=self._adapters_max), catalog

    async def _ask(
        self, interaction: Interaction, job: Job, request: GenerationRequest, catalog: Catalog
    ) -> None:
        await self.results.ask(interaction, request, kind="edit", parent=job, catalog=catalog)

    async def _picture(self, used: InitImage | Reference | None) -> Picture | None:
        if used is None:
            return None
        try:
            return Picture(used.sha256, *await self._inputs.size(used.sha256))
        except (OSError, ValueError):
            raise Refused("picture.gone") from None

    async def _record(self, job: Job, n: str) -> ImageRecord:
        images = {str(image.n): image for image in await self.results.store.images(job.id)}
        image = images.get(n)
        if image is None or image.pruned_at is not None:
            raise Refused("action.pruned")
        return image

    async def _kept(self, job: Job, image: ImageRecord, keep: Keep) -> Picture:
        """An image of the result as one to start from."""
        try:
            data = await asyncio.to_thread((self._images_dir / image.path).read_bytes)
        except OSError as error:
            log.warning("job %s: an image cannot be read: %s", job.id, error.strerror)
            raise Refused("action.pruned") from None
        sha256 = await keep(data, "image")
        return Picture(sha256, *await self._inputs.size(sha256))

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
