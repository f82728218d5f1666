"""The help: one topic at a time, and a select of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.custom_id import CustomId, Routed
from bot.texts.language import Say


class Audience(Enum):
    """Whom a topic is for."""

    EVERYONE = auto()
    MODERATORS = auto()  # who manages the server or its messages
    OWNERS = auto()  # of the application


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; its sentences are the table `help.<name>` of the texts, line by line."""

    name: str
    emoji: str
    audience: Audience = Audience.EVERYONE


TOPICS: Final = (
    Topic("first", "👋"),
    Topic("prompts", "✏️"),
    Topic("models", "🎨"),
    Topic("results", "🖼️"),
    Topic("history", "🗂️"),
    Topic("presets", "🔖"),
    Topic("settings", "⚙️"),
    Topic("privacy", "🔒"),
    Topic("moderators", "🛡️", Audience.MODERATORS),
    Topic("owner", "🔧", Audience.OWNERS),
)


@dataclass(frozen=True)
class HelpId(CustomId):
    """The select of topics. shown: the topic that its message shows."""

    prefix: ClassVar[str] = "help"

    shown: str


def title_of(say: Say, topic: str) -> str:
    return say(f"help.topic.{topic}")


def help_layout(say: Say, lines: Mapping[str, Sequence[str]], shown: str) -> discord.ui.LayoutView:
    """lines: the sentences of each topic on offer, by its name. shown: one of these names."""
    emoji = {topic.name: topic.emoji for topic in TOPICS}
    options = [
        discord.SelectOption(
            label=title_of(say, name), value=name, emoji=emoji[name], default=name == shown
        )
        for name in lines
    ]
    select = discord.ui.Select[Any](
        custom_id=str(HelpId(shown)), options=options, placeholder=say("help.choose")
    )
    said = "\n".join(f"- {line}" for line in lines[shown])
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(
        discord.ui.Container(
            discord.ui.TextDisplay(f"### {emoji[shown]} {title_of(say, shown)}"),
            discord.ui.TextDisplay(said),
            discord.ui.Separator(),
            discord.ui.ActionRow[Any](Routed(select)),
            accent_colour=discord.Colour.blurple(),
        )
    )
    return view
