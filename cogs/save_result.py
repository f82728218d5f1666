"""💾 Save as preset: a form that asks which options of a result to keep, and under what name."""

from collections.abc import Collection, Mapping

from bot.chat.client import ImagenBot, Interaction
from bot.chat.forms import chosen, entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import SavePresetId
from bot.chat.ui.forms.fields import PROMPT
from bot.chat.ui.forms.save_preset import NAME, PARTS, REPLACE, PresetFormId, save_form
from bot.chat.ui.markdown import one_line
from bot.errors import Refused, UserError
from bot.request.changes import fields_of
from bot.request.keeping import USUAL, Part, options_of
from bot.store import Job
from cogs.results import Results, ServiceComponent
from cogs.saving import Saving


class ResultSaver:
    """Opens the form for a result, and saves what was entered."""

    def __init__(self, results: Results, saving: Saving) -> None:
        self.results = results
        self._saving = saving

    async def open(
        self, interaction: Interaction, job_id: str, fields: Mapping[str, str] | None = None
    ) -> None:
        """fields: what was entered before."""
        job = await self._job(interaction, job_id)
        form = PresetFormId(job.id)
        if fields is None:
            shown, parts = {PROMPT: fields_of(job.request).prompt}, [*USUAL]
        else:
            shown, parts = {**fields}, _parts(fields[PARTS].split(","))
        await open_form(interaction, save_form(here_of(interaction).say, form, shown, parts))

    async def submit(
        self, interaction: Interaction, form: PresetFormId, fields: Mapping[str, str]
    ) -> None:
        """Save it; a mistake is named, and the form can be opened again as it was."""
        job = await self._job(interaction, form.job_id)
        here = here_of(interaction)
        catalog = here.offered(self.results.catalog.current)
        try:
            options = options_of(
                job.request,
                _parts(fields[PARTS].split(",")),
                fields[PROMPT],
                catalog,
                nsfw=here.nsfw,
            )
            name = await self._saving.save(
                interaction, fields[NAME], options, replace=bool(fields[REPLACE])
            )
        except UserError as error:
            await self.results.send_back(interaction, form, fields, error)
        else:
            text = here.say("presets.saved", name=one_line(name))
            await interaction.response.send_message(text, ephemeral=True)

    async def _job(self, interaction: Interaction, job_id: str) -> Job:
        """Raises Refused if it is gone, or not of one kind of image."""
        job = await self.results.usable(interaction, job_id)
        if job.request.upscale is not None:
            raise Refused("action.enlarged")
        if job.request.describe is not None:
            raise Refused("action.described")
        if job.request.comparison is not None:
            raise Refused("action.open_first")
        return job


def _parts(names: Collection[str]) -> list[Part]:
    return [part for part in Part if part in names]


class SavePresetButton(ServiceComponent[SavePresetId, ResultSaver]):
    ids = SavePresetId

    async def use(self, interaction: Interaction, custom_id: SavePresetId) -> None:
        await self._service.open(interaction, custom_id.job_id)


class PresetForm(ServiceComponent[PresetFormId, ResultSaver]):
    ids = PresetFormId

    async def use(self, interaction: Interaction, custom_id: PresetFormId) -> None:
        fields = entered_into(interaction, (NAME, PROMPT))
        fields |= {name: ",".join(chosen(interaction, name)) for name in (PARTS, REPLACE)}
        await self._service.submit(interaction, custom_id, fields)


def saver_of(bot: ImagenBot) -> ResultSaver:
    return ResultSaver(Results.of(bot), Saving.of(bot))


async def setup(bot: ImagenBot) -> None:
    saver = saver_of(bot)
    bot.components.add(SavePresetButton(saver), PresetForm(saver))
