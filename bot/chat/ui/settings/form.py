"""The form in which a number or a text is entered."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.forms.fields import TITLE_MAX
from bot.chat.ui.markdown import seen, shortened
from bot.levels.entering import KINDS, LONGEST, TEXT_MAX, Kind
from bot.levels.fields import LevelFields, bounds_of
from bot.texts.language import Say

VALUE: Final = "value"
"""The custom_id of its field."""
HINT_MAX: Final = 100


@dataclass(frozen=True)
class SettingFormId(CustomId):
    """Sets one setting of a level to what is entered."""

    prefix: ClassVar[str] = "settingform"

    level: str
    name: str


def setting_form(
    say: Say, custom_id: SettingFormId, fields: type[LevelFields], value: Any, held: Any = None
) -> Any:
    """value: what the level has set; None for nothing. held: what holds there until then, and is
    shown where one types. Both as far as they may be shown there."""
    name = custom_id.name
    title = shortened(say(f"settings.name.{name}"), TITLE_MAX)
    form = discord.ui.Modal(title=title, custom_id=str(custom_id))
    form.add_item(
        discord.ui.Label(
            text=title,
            description=shortened(_hint(say, name, fields), HINT_MAX),
            component=discord.ui.TextInput(
                custom_id=VALUE,
                style=(
                    discord.TextStyle.short
                    if KINDS[name] is Kind.NUMBER or name in ("model", "size")
                    else discord.TextStyle.long
                ),
                default=as_entered(value) or None,
                placeholder=shortened(seen(as_entered(held)), HINT_MAX) or None,
                max_length=LONGEST.get(name, TEXT_MAX),
                required=False,
            ),
        )
    )
    return form


def as_entered(value: Any) -> str:
    """A value as people type it."""
    match value:
        case None:
            return ""
        case tuple():
            return ", ".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _hint(say: Say, name: str, fields: type[LevelFields]) -> str:
    match KINDS[name]:
        case Kind.NUMBER:
            low, high = bounds_of(fields, name) or (0, 0)
            return say("settings.hint.number", min=low, max=high)
        case Kind.NAMES:
            return say("settings.hint.names")
        case _ if name in ("loras", "size"):
            return say(f"settings.hint.{name}")
        case _:
            return say("settings.hint.text")
