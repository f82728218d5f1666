"""The form with which a request is changed, or made from what was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.fields import (
    PROMPT,
    empty_form,
    loras_field,
    model_select,
    more_field,
    text_field,
)
from bot.previews import Shelf
from bot.request import PROMPT_MAX
from bot.request.changes import Fields
from bot.texts.language import Say
from catalog import ModelEntry

NEGATIVE: Final = "negative"
"""The custom_id of the field for the negative prompt."""


@dataclass(frozen=True)
class EditFormId(CustomId):
    """Changes the request of a job.

    image: `""`, or the image of its result to use, from 0. role: `start` to paint over that image,
    `reference`, or `control` to follow it; `""` for none.
    """

    prefix: ClassVar[str] = "editform"

    job_id: str
    role: str = ""
    image: str = ""


@dataclass(frozen=True)
class PaintFormId(CustomId):
    """Paints with what was entered. of: what was chosen from."""

    prefix: ClassVar[str] = "paintform"

    of: Shelf


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
    form = empty_form(title or say("form.edit.title"), custom_id)
    form.add_item(
        text_field(
            say("form.edit.prompt"),
            say("form.edit.prompt_hint"),
            PROMPT,
            entered.prompt,
            PROMPT_MAX,
            required=True,
        )
    )
    form.add_item(
        text_field(
            say("form.edit.negative"),
            say("form.edit.negative_hint"),
            NEGATIVE,
            entered.negative,
            PROMPT_MAX,
        )
    )
    form.add_item(model_select(say, models, entered.model))
    form.add_item(loras_field(say, entered.loras))
    form.add_item(more_field(say, entered.more))
    return form
