"""The form that says what is to be in a part of an image that is painted anew."""

from collections.abc import Mapping
from typing import Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.fields import PROMPT, empty_form, text_field
from bot.request import AREAS, PROMPT_MAX, WHOLE
from bot.texts.language import Say

STRENGTH: Final = "strength"
"""The custom_id of the field for how much is changed."""
AREA: Final = "area"
"""That of the field for whether only the part is painted: one of AREAS."""
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
    chosen = entered.get(AREA) or WHOLE
    options = [
        discord.SelectOption(label=say(f"form.part.{area}"), value=area, default=area == chosen)
        for area in AREAS
    ]
    form.add_item(
        discord.ui.Label(
            text=say("form.part.area"),
            description=say("form.part.area_hint"),
            component=discord.ui.Select(custom_id=AREA, options=options),
        )
    )
    return form
