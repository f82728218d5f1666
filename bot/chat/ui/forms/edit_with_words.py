"""The form that says what to change about an image."""

from collections.abc import Mapping, Sequence
from typing import Final

import discord

from bot.chat.ui.custom_id import JobId
from bot.chat.ui.forms.fields import (
    LORAS,
    MODEL,
    MORE,
    OPTIONS_MAX,
    PROMPT,
    empty_form,
    loras_field,
    model_select,
    more_field,
    text_field,
)
from bot.request import PROMPT_MAX
from bot.texts.language import Say
from catalog import ModelEntry

IMAGE: Final = "image"
"""The custom_id of the field for which image."""


class WordsFormId(JobId):
    """Edits an image of a job's result by what is said about it."""

    prefix = "wordsform"


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
    form = empty_form(say("form.words.title"), custom_id)
    form.add_item(
        text_field(
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
    form.add_item(model_select(say, models, entered.get(MODEL) or models[0].key))
    form.add_item(loras_field(say, entered.get(LORAS, "")))
    form.add_item(more_field(say, entered.get(MORE, "")))
    return form
