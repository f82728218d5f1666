"""The forms that buttons open: how they look, and the ids of the forms and of their fields."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.markdown import seen, shortened
from bot.previews import Shelf
from bot.request import AXES, PROMPT_MAX
from bot.request.changes import Fields
from bot.request.keeping import NAME_MAX, Part
from bot.texts.language import Say
from catalog import ModelEntry

TITLE_MAX: Final = 45
OPTIONS_MAX: Final = 25
OPTION_LENGTH: Final = 100
LORAS_MAX: Final = 1_000
INPUT_MAX: Final = 4_000
"""Discord's own limit of a text input."""
MORE_MAX: Final = 1_000
REASON_MAX: Final = 1_000
BROADCAST: Final = "text"
BROADCAST_MAX: Final = 1_500
AXIS, VALUES, AXIS2, VALUES2 = "axis", "values", "axis2", "values2"
NAME, PARTS, REPLACE = "name", "parts", "replace"
IMAGE: Final = "image"
PROMPT, NEGATIVE, MODEL, LORAS, MORE, REASON = (
    "prompt",
    "negative",
    "model",
    "loras",
    "more",
    "reason",
)
"""The custom_ids of the fields."""


@dataclass(frozen=True)
class EditFormId(CustomId):
    """Changes the request of a job.

    image: `""`, or the image of its result to use, from 0. role: `start` to paint over that image,
    or `reference`; `""` for neither.
    """

    prefix: ClassVar[str] = "editform"

    job_id: str
    role: str = ""
    image: str = ""


@dataclass(frozen=True)
class WordsFormId(CustomId):
    """Edits an image of a job's result by what is said about it."""

    prefix: ClassVar[str] = "wordsform"

    job_id: str


@dataclass(frozen=True)
class CompareFormId(CustomId):
    """Compares around the result of a job."""

    prefix: ClassVar[str] = "compareform"

    job_id: str


@dataclass(frozen=True)
class PaintFormId(CustomId):
    """Paints with what was entered. of: what was chosen from."""

    prefix: ClassVar[str] = "paintform"

    of: Shelf


@dataclass(frozen=True)
class ReopenId(CustomId):
    """Opens a form that had a mistake again, as it was."""

    prefix: ClassVar[str] = "reopen"

    form_id: str


@dataclass(frozen=True)
class PresetFormId(CustomId):
    """Saves what the result of a job was made with as a preset."""

    prefix: ClassVar[str] = "presetform"

    job_id: str


@dataclass(frozen=True)
class ReportFormId(CustomId):
    """Reports the result of a job."""

    prefix: ClassVar[str] = "reportform"

    job_id: str


@dataclass(frozen=True)
class BroadcastFormId(CustomId):
    """Shows the owner what a note to every server will look like."""

    prefix: ClassVar[str] = "broadcastform"


@dataclass(frozen=True)
class BroadcastId(CustomId):
    """Sends it. form_id: of what was entered, see bot.store.forms."""

    prefix: ClassVar[str] = "broadcast"

    form_id: str


def edit_form(
    say: Say,
    custom_id: CustomId,
    entered: Fields,
    models: Sequence[ModelEntry],
    title: str = "",
) -> discord.ui.Modal:
    """The form to change a request. models: those to choose from, the best first.

    title: other than that.
    """
    form = _form(title or say("form.edit.title"), custom_id)
    form.add_item(
        _text(
            say("form.edit.prompt"),
            say("form.edit.prompt_hint"),
            PROMPT,
            entered.prompt,
            PROMPT_MAX,
            required=True,
        )
    )
    form.add_item(
        _text(
            say("form.edit.negative"),
            say("form.edit.negative_hint"),
            NEGATIVE,
            entered.negative,
            PROMPT_MAX,
        )
    )
    form.add_item(_model_select(say("form.edit.model"), models, entered.model))
    form.add_item(
        _text(
            say("form.edit.loras"),
            say("form.edit.loras_hint"),
            LORAS,
            entered.loras,
            LORAS_MAX,
            long=False,
        )
    )
    form.add_item(
        _text(say("form.edit.more"), say("form.edit.more_hint"), MORE, entered.more, MORE_MAX)
    )
    return form


def words_form(
    say: Say,
    custom_id: WordsFormId,
    entered: Mapping[str, str],
    images: Sequence[int],
    models: Sequence[ModelEntry],
) -> discord.ui.Modal:
    """The form that says what to change. entered: what was entered before, by field.

    images: numbers of those to choose from, from 0. models: those to choose from, the best first.
    """
    form = _form(say("form.words.title"), custom_id)
    form.add_item(
        _text(
            say("form.words.prompt"),
            say("form.words.prompt_hint"),
            PROMPT,
            entered.get(PROMPT, ""),
            PROMPT_MAX,
            required=True,
        )
    )
    if len(images) > 1:
        image = entered.get(IMAGE) or str(images[0])
        numbers = [
            discord.SelectOption(
                label=say("form.words.image_n", image=n + 1), value=str(n), default=str(n) == image
            )
            for n in images[:OPTIONS_MAX]
        ]
        form.add_item(
            discord.ui.Label(
                text=say("form.words.image"),
                component=discord.ui.Select(custom_id=IMAGE, options=numbers),
            )
        )
    form.add_item(
        _model_select(say("form.edit.model"), models, entered.get(MODEL) or models[0].key)
    )
    form.add_item(
        _text(
            say("form.edit.loras"),
            say("form.edit.loras_hint"),
            LORAS,
            entered.get(LORAS, ""),
            LORAS_MAX,
            long=False,
        )
    )
    form.add_item(
        _text(
            say("form.edit.more"),
            say("form.edit.more_hint"),
            MORE,
            entered.get(MORE, ""),
            MORE_MAX,
        )
    )
    return form


def compare_form(
    say: Say, custom_id: CompareFormId, entered: Mapping[str, str]
) -> discord.ui.Modal:
    """The form that asks what varies. entered: what was entered before, by field."""
    form = _form(say("form.compare.title"), custom_id)
    for axis, values, label in (
        (AXIS, VALUES, say("form.compare.axis")),
        (AXIS2, VALUES2, say("form.compare.second_axis")),
    ):
        options = [
            discord.SelectOption(
                label=say(f"command.compare.axes.{name}"),
                value=name,
                default=name == entered.get(axis),
            )
            for name in AXES
        ]
        required = axis == AXIS
        form.add_item(
            discord.ui.Label(
                text=label,
                component=discord.ui.Select(
                    custom_id=axis,
                    options=options,
                    required=required,
                    min_values=1 if required else 0,
                ),
            )
        )
        form.add_item(
            _text(
                say("form.compare.values"),
                say("form.compare.values_hint"),
                values,
                entered.get(values, ""),
                LORAS_MAX,
                long=False,
            )
        )
    return form


def report_form(say: Say, custom_id: ReportFormId) -> discord.ui.Modal:
    form = _form(say("form.report.title"), custom_id)
    form.add_item(
        _text(
            say("form.report.reason"),
            say("form.report.reason_hint"),
            REASON,
            "",
            REASON_MAX,
            required=True,
        )
    )
    return form


def save_form(
    say: Say, custom_id: PresetFormId, entered: Mapping[str, str], parts: Collection[Part]
) -> discord.ui.Modal:
    """The form to save what a result was made with. entered: what is in its texts. parts: those
    that are chosen. What is entered for REPLACE is not empty, or it is not to be replaced."""
    form = _form(say("form.preset.title"), custom_id)
    form.add_item(
        _text(
            say("form.preset.name"),
            say("form.preset.name_hint"),
            NAME,
            entered.get(NAME, ""),
            NAME_MAX,
            required=True,
            long=False,
        )
    )
    form.add_item(
        _text(
            say("form.edit.prompt"),
            say("form.preset.prompt_hint"),
            PROMPT,
            entered.get(PROMPT, ""),
            PROMPT_MAX,
        )
    )
    options = [
        discord.SelectOption(
            label=say(f"form.preset.parts.{part}"), value=part, default=part in parts
        )
        for part in Part
    ]
    form.add_item(
        discord.ui.Label(
            text=say("form.preset.which"),
            component=discord.ui.Select(
                custom_id=PARTS,
                options=options,
                min_values=0,
                max_values=len(options),
                required=False,
            ),
        )
    )
    replacing = discord.SelectOption(
        label=say("form.preset.replace"), value=REPLACE, default=bool(entered.get(REPLACE))
    )
    form.add_item(
        discord.ui.Label(
            text=say("form.preset.taken"),
            component=discord.ui.Select(
                custom_id=REPLACE, options=[replacing], min_values=0, max_values=1, required=False
            ),
        )
    )
    return form


def broadcast_form(say: Say) -> discord.ui.Modal:
    form = _form(say("form.broadcast.title"), BroadcastFormId())
    form.add_item(
        _text(
            say("form.broadcast.text"),
            say("form.broadcast.hint"),
            BROADCAST,
            "",
            BROADCAST_MAX,
            required=True,
        )
    )
    return form


def _form(title: str, custom_id: CustomId) -> discord.ui.Modal:
    return discord.ui.Modal(title=shortened(title, TITLE_MAX), custom_id=str(custom_id))


def _model_select(label: str, models: Sequence[ModelEntry], chosen: str) -> discord.ui.Label[Any]:
    """chosen: the key of the one that is chosen at first."""
    options = [
        discord.SelectOption(
            label=shortened(seen(model.name), OPTION_LENGTH),
            value=model.key,
            description=shortened(seen(model.description), OPTION_LENGTH) or None,
            default=model.key == chosen,
        )
        for model in models[:OPTIONS_MAX]
    ]
    return discord.ui.Label(
        text=label, component=discord.ui.Select(custom_id=MODEL, options=options)
    )


def _text(
    label: str,
    hint: str,
    custom_id: str,
    value: str,
    longest: int,
    *,
    required: bool = False,
    long: bool = True,
) -> discord.ui.Label[Any]:
    return discord.ui.Label(
        text=label,
        description=hint,
        component=discord.ui.TextInput(
            custom_id=custom_id,
            style=discord.TextStyle.long if long else discord.TextStyle.short,
            default=value[:INPUT_MAX] or None,
            # Braces are escaped in it, so it may be longer; the request says what is too much.
            max_length=min(max(longest, len(value)), INPUT_MAX),
            required=required,
        ),
    )
