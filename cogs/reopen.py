"""The button that opens a form again, as it was, after a mistake."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.ui.forms.compare import CompareFormId
from bot.chat.ui.forms.edit import EditFormId, PaintFormId
from bot.chat.ui.forms.edit_with_words import WordsFormId
from bot.chat.ui.forms.reopen import ReopenId
from bot.chat.ui.forms.save_preset import PresetFormId
from bot.chat.ui.repainting import PartFormId
from bot.errors import Refused
from bot.request.changes import Fields
from bot.store import discord_person
from cogs.compare_result import Comparer, comparer_of
from cogs.edit import Editor
from cogs.edit_with_words import WordsEditor
from cogs.paint_with import Painter, painter_of
from cogs.repaint_part import PartPainter
from cogs.results import AskingComponent, Results
from cogs.save_result import ResultSaver, saver_of


class ReopenButton(AskingComponent[ReopenId]):
    ids = ReopenId

    def __init__(
        self,
        results: Results,
        editor: Editor,
        comparer: Comparer,
        painter: Painter,
        saver: ResultSaver,
        words: WordsEditor,
        parts: PartPainter,
    ) -> None:
        super().__init__(results)
        self._editor = editor
        self._comparer = comparer
        self._painter = painter
        self._saver = saver
        self._words = words
        self._parts = parts

    async def use(self, interaction: Interaction, custom_id: ReopenId) -> None:
        person = discord_person(interaction.user.id)
        found = await self._results.store.forms.find(custom_id.form_id, person)
        if found is None:
            raise Refused("form.gone")
        if found.of.startswith(f"{EditFormId.prefix}:"):
            fields = Fields(**found.fields)
            await self._editor.reopen(interaction, EditFormId.parse(found.of), fields)
        elif found.of.startswith(f"{PaintFormId.prefix}:"):
            fields = Fields(**found.fields)
            await self._painter.reopen(interaction, PaintFormId.parse(found.of), fields)
        elif found.of.startswith(f"{PresetFormId.prefix}:"):
            saved = PresetFormId.parse(found.of)
            await self._saver.open(interaction, saved.job_id, found.fields)
        elif found.of.startswith(f"{CompareFormId.prefix}:"):
            form = CompareFormId.parse(found.of)
            await self._comparer.open(interaction, form.job_id, found.fields)
        elif found.of.startswith(f"{WordsFormId.prefix}:"):
            await self._words.open(interaction, WordsFormId.parse(found.of).job_id, found.fields)
        elif found.of.startswith(f"{PartFormId.prefix}:"):
            await self._parts.open(interaction, PartFormId.parse(found.of), found.fields)
        else:
            raise Refused("form.gone")


async def setup(bot: ImagenBot) -> None:
    bot.components.add(
        ReopenButton(
            Results.of(bot),
            Editor.of(bot),
            comparer_of(bot),
            painter_of(bot),
            saver_of(bot),
            WordsEditor.of(bot),
            PartPainter.of(bot),
        )
    )
