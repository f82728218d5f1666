"""🪄 Edit with words: a form that says what to change about an image of a result."""

from collections.abc import Mapping

from bot.chat.client import ImagenBot, Interaction
from bot.chat.forms import entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import WordsId
from bot.chat.ui.forms.edit_with_words import IMAGE, WordsFormId, words_form
from bot.chat.ui.forms.fields import LORAS, MODEL, MORE, PROMPT
from bot.errors import Refused, UserError
from bot.files.given import holding
from bot.request import Composed, Picture, compose_with_notes, editing_models
from bot.request.changes import Fields, editing
from cogs.result_pictures import PictureService
from cogs.results import ServiceComponent

FIELDS = (PROMPT, IMAGE, MODEL, LORAS, MORE)


class WordsEditor(PictureService):
    """Opens the form for a result, and makes a request of what was entered."""

    async def open(
        self, interaction: Interaction, job_id: str, fields: Mapping[str, str] | None = None
    ) -> None:
        """fields: what was entered before. Raises Refused if the result is gone, or no model here
        edits images."""
        job = await self.results.usable(interaction, job_id)
        if job.request.comparison is not None:
            raise Refused("action.open_first")
        here = here_of(interaction)
        offered = here.offered(self.results.catalog.current)
        models = editing_models(offered, nsfw=here.nsfw)
        if not models:
            raise Refused("edit.none")
        images = [image.n for image in await self._pictures.kept(job)]
        form = words_form(here.say, WordsFormId(job.id), fields or {}, images, models)
        await open_form(interaction, form)

    async def submit(
        self, interaction: Interaction, form: WordsFormId, fields: Mapping[str, str]
    ) -> None:
        """Queue what was entered. A mistake is named, and the form can be opened again as it was.

        Raises Refused if the result is gone or may not be used here.
        """
        job = await self.results.usable(interaction, form.job_id)
        number = fields[IMAGE]
        n = int(number) if number.isdecimal() else (await self._pictures.kept(job))[0].n
        try:
            await self._composed(interaction, fields, await self._pictures.promised(job, n))
            # Its image is encoded once more, which may take longer than Discord waits.
            await self.results.postpone(interaction, job)
            async with holding(self.results.store, self._pictures.inputs) as keep:
                picture = await self._pictures.take(job, n, "image", keep)
                composed = await self._composed(interaction, fields, picture)
                await self.results.ask(
                    interaction,
                    composed.request,
                    kind="edit",
                    parent=job,
                    warnings=composed.notes,
                )
        except UserError as error:
            await self.results.send_back(interaction, form, fields, error)

    async def _composed(
        self, interaction: Interaction, fields: Mapping[str, str], picture: Picture
    ) -> Composed:
        draft = editing(
            Fields(fields[PROMPT], "", fields[MODEL], fields[LORAS], fields[MORE]), picture
        )
        return compose_with_notes(
            draft,
            await self.results.offered(interaction, *draft.names),
            nsfw=here_of(interaction).nsfw,
            adapters_max=self._adapters_max,
            hashes=await self.results.store.known_weights.hashes(*draft.names),
        )


class WordsButton(ServiceComponent[WordsId, WordsEditor]):
    ids = WordsId

    async def use(self, interaction: Interaction, custom_id: WordsId) -> None:
        await self._service.open(interaction, custom_id.job_id)


class WordsForm(ServiceComponent[WordsFormId, WordsEditor]):
    ids = WordsFormId

    async def use(self, interaction: Interaction, custom_id: WordsFormId) -> None:
        fields = entered_into(interaction, FIELDS)
        await self._service.submit(interaction, custom_id, fields)


async def setup(bot: ImagenBot) -> None:
    editor = WordsEditor.of(bot)
    bot.components.add(WordsButton(editor), WordsForm(editor))
