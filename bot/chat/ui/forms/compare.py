"""The form that asks what a comparison around a result varies."""

from collections.abc import Mapping
from typing import Final

import discord

from bot.chat.ui.custom_id import JobId
from bot.chat.ui.forms.fields import empty_form, text_field
from bot.request import AXES
from bot.texts.language import Say

AXIS, VALUES, AXIS2, VALUES2 = "axis", "values", "axis2", "values2"
"""The custom_ids of the fields."""
VALUES_MAX: Final = 1_000


class CompareFormId(JobId):
    """Compares around the result of a job."""

    prefix = "compareform"


def compare_form(
    say: Say, custom_id: CompareFormId, entered: Mapping[str, str]
) -> discord.ui.Modal:
    """The form that asks what varies. entered: what was entered before, by field."""
    form = empty_form(say("form.compare.title"), custom_id)
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
            text_field(
                say("form.compare.values"),
                say("form.compare.values_hint"),
                values,
                entered.get(values, ""),
                VALUES_MAX,
                long=False,
            )
        )
    return form
