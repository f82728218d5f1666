"""The button below a mistake in a form, which opens it again."""

from dataclasses import dataclass
from typing import ClassVar

from bot.chat.ui.custom_id import CustomId


@dataclass(frozen=True)
class ReopenId(CustomId):
    """Opens a form that had a mistake again, as it was."""

    prefix: ClassVar[str] = "reopen"

    form_id: str
