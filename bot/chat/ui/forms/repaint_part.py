"""The form that says what is to be in a part of an image that is painted anew."""

from collections.abc import Mapping
from typing import Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.fields import PROMPT, empty_form, text_field
from bot.request import PROMPT_MAX
from bot.texts.language import Say

STRENGTH: Final = "strength"
"""The custom_id of the field for how much is changed."""
STRENGTH_LENGTH: Final = 10


def part_form(
    say: Say, custom_id: CustomId, entered: Mapping[str, str], squares: str
) -> discord.ui.Modal:
    """entered: what is in it at first, by field. squares: which part, for the title."""
    form = empty_form(say("form.part.title", squares=squares), custom_id)
    form.add_item(
        text_field(
            say("form.part.prompt"),
            say("form.part.prompt_hint"),
            PROMPT,
            entered.get(PROMPT, ""),
            PROMPT_MAX,
            required=True,
        )
    )
    form.add_item(
        text_field(
            say("form.part.strength"),
            say("form.part.strength_hint"),
            STRENGTH,
            entered.get(STRENGTH, ""),
            STRENGTH_LENGTH,
            long=False,
        )
    )
    return form
