"""The form to report a result."""

from typing import Final

import discord

from bot.chat.ui.custom_id import JobId
from bot.chat.ui.forms.fields import empty_form, text_field
from bot.texts.language import Say

REASON: Final = "reason"
"""The custom_id of the field."""
REASON_MAX: Final = 1_000


class ReportFormId(JobId):
    """Reports the result of a job."""

    prefix = "reportform"


def report_form(say: Say, custom_id: ReportFormId) -> discord.ui.Modal:
    form = empty_form(say("form.report.title"), custom_id)
    form.add_item(
        text_field(
            say("form.report.reason"),
            say("form.report.reason_hint"),
            REASON,
            "",
            REASON_MAX,
            required=True,
        )
    )
    return form
