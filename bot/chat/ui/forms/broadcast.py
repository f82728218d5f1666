"""The form for a note to every server, and the button that sends it."""

from dataclasses import dataclass
from typing import ClassVar, Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.fields import empty_form, text_field
from bot.texts.language import Say

BROADCAST: Final = "text"
"""The custom_id of the field."""
BROADCAST_MAX: Final = 1_500


@dataclass(frozen=True)
class BroadcastFormId(CustomId):
    """Shows the owner what a note to every server will look like."""

    prefix: ClassVar[str] = "broadcastform"


@dataclass(frozen=True)
class BroadcastId(CustomId):
    """Sends it. form_id: of what was entered, see bot.store.forms."""

    prefix: ClassVar[str] = "broadcast"

    form_id: str


def broadcast_form(say: Say) -> discord.ui.Modal:
    form = empty_form(say("form.broadcast.title"), BroadcastFormId())
    form.add_item(
        text_field(
            say("form.broadcast.text"),
            say("form.broadcast.hint"),
            BROADCAST,
            "",
            BROADCAST_MAX,
            required=True,
        )
    )
    return form
