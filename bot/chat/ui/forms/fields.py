"""What forms are put together from, within Discord's limits, and the fields that several have."""

from collections.abc import Sequence
from typing import Any, Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.markdown import seen, shortened
from bot.texts.language import Say
from catalog import ModelEntry

TITLE_MAX: Final = 45
OPTIONS_MAX: Final = 25
OPTION_LENGTH: Final = 100
INPUT_MAX: Final = 4_000
"""Discord's own limit of a text input."""
LORAS_MAX: Final = 1_000
MORE_MAX: Final = 1_000
PROMPT, MODEL, LORAS, MORE = "prompt", "model", "loras", "more"
"""The custom_ids of fields that several forms have."""


def empty_form(title: str, custom_id: CustomId) -> discord.ui.Modal:
    """A form without fields. title: shortened where it is too long."""
    return discord.ui.Modal(title=shortened(title, TITLE_MAX), custom_id=str(custom_id))


def text_field(
    label: str,
    hint: str,
    custom_id: str,
    value: str,
    longest: int,
    *,
    required: bool = False,
    long: bool = True,
) -> discord.ui.Label[Any]:
    """A text to enter. value: what is in it at first. longest: how many characters it may have."""
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


def model_select(say: Say, models: Sequence[ModelEntry], chosen: str) -> discord.ui.Label[Any]:
    """The select, under MODEL, of up to OPTIONS_MAX of `models`.

    chosen: the key of the one that is chosen at first.
    """
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
        text=say("form.edit.model"),
        component=discord.ui.Select(custom_id=MODEL, options=options),
    )


def loras_field(say: Say, value: str) -> discord.ui.Label[Any]:
    """LoRAs in one line, under LORAS."""
    hint = say("form.edit.loras_hint")
    return text_field(say("form.edit.loras"), hint, LORAS, value, LORAS_MAX, long=False)


def more_field(say: Say, value: str) -> discord.ui.Label[Any]:
    """Options as they are typed, under MORE."""
    return text_field(say("form.edit.more"), say("form.edit.more_hint"), MORE, value, MORE_MAX)
