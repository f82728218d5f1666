"""The form to save what a result was made with."""

from collections.abc import Collection, Mapping

import discord

from bot.chat.ui.custom_id import JobId
from bot.chat.ui.forms.fields import PROMPT, empty_form, text_field
from bot.request import PROMPT_MAX
from bot.request.keeping import NAME_MAX, Part
from bot.texts.language import Say

NAME, PARTS, REPLACE = "name", "parts", "replace"
"""The custom_ids of the fields, beside PROMPT."""


class PresetFormId(JobId):
    """Saves what the result of a job was made with as a preset."""

    prefix = "presetform"


def save_form(
    say: Say, custom_id: PresetFormId, entered: Mapping[str, str], parts: Collection[Part]
) -> discord.ui.Modal:
    """The form to save what a result was made with. entered: what is in its texts. parts: those
    that are chosen. What is entered for REPLACE is not empty, or it is not to be replaced."""
    form = empty_form(say("form.preset.title"), custom_id)
    form.add_item(
        text_field(
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
        text_field(
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
