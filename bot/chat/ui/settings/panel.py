"""A level's panel, one group of settings at a time, and what a setting is chosen from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import discord

from bot.chat.ui.actions import routed_button
from bot.chat.ui.custom_id import CustomId, Routed
from bot.chat.ui.markdown import cut_off, seen, shortened
from bot.chat.ui.messages import BLURPLE
from bot.chat.ui.settings.form import as_entered
from bot.chat.ui.settings.groups import groups_of, names_of
from bot.chat.ui.settings.values import choice_label, setting_line
from bot.levels.entering import KINDS, NO, YES, Kind
from bot.levels.fields import ROLES_MAX
from bot.levels.showing import SeenFrom
from bot.texts.language import Say
from catalog import Catalog

TEXT_MAX: Final = 4_000
"""Characters of all texts of a message together (docs, components/reference)."""
SAID_MAX: Final = 1_500
LABEL_MAX: Final = 100


@dataclass(frozen=True)
class SettingGroupId(CustomId):
    """Shows the group that is chosen."""

    prefix: ClassVar[str] = "settinggroup"

    level: str


@dataclass(frozen=True)
class SettingPickId(CustomId):
    """Changes the setting that is chosen."""

    prefix: ClassVar[str] = "settingpick"

    level: str


@dataclass(frozen=True)
class SettingValueId(CustomId):
    """Sets one setting of a level to what is chosen."""

    prefix: ClassVar[str] = "settingvalue"

    level: str
    name: str


@dataclass(frozen=True)
class SettingResetId(CustomId):
    """Resets one setting of a level."""

    prefix: ClassVar[str] = "settingreset"

    level: str
    name: str


@dataclass(frozen=True)
class SettingBackId(CustomId):
    """Shows the group again without a change."""

    prefix: ClassVar[str] = "settingback"

    level: str
    group: str


def panel_layout(
    say: Say,
    seen_from: SeenFrom,
    group: str,
    catalog: Catalog,
    *,
    nsfw: bool,
    said: str | None = None,
) -> discord.ui.LayoutView:
    """The settings of a level in one group. said: what was just changed, or does not work."""
    level = seen_from.level
    names = names_of(level, group)
    lines = [
        setting_line(say, level, name, seen_from.shown(name), catalog, nsfw=nsfw) for name in names
    ]
    title = say(f"settings.title.{level.value}")
    heading = f"## {title}\n**{say(f'settings.group.{group}')}**"
    said = cut_off(said, SAID_MAX) if said else ""
    room = TEXT_MAX - len(heading) - len(said)
    container = discord.ui.Container[Any](
        discord.ui.TextDisplay(heading),
        discord.ui.TextDisplay(cut_off("\n".join(lines), room)),
        accent_colour=BLURPLE,
    )
    if said:
        container.add_item(discord.ui.TextDisplay(said))
    container.add_item(
        _select(
            SettingPickId(level.value),
            [_option(say(f"settings.name.{name}"), name) for name in names],
            say("settings.pick"),
        )
    )
    container.add_item(
        _select(
            SettingGroupId(level.value),
            [
                _option(say(f"settings.group.{each}"), each, chosen=each == group)
                for each in groups_of(level)
            ],
            say("settings.groups"),
        )
    )
    return _view(container)


def choose_layout(
    say: Say,
    seen_from: SeenFrom,
    name: str,
    group: str,
    choices: Sequence[str],
    catalog: Catalog,
    *,
    nsfw: bool,
) -> discord.ui.LayoutView:
    """What one setting can be. choices: the texts to choose from; none for roles and channels."""
    level, own = seen_from.level, seen_from.own(name)
    line = setting_line(say, level, name, seen_from.shown(name), catalog, nsfw=nsfw)
    container = discord.ui.Container[Any](
        discord.ui.TextDisplay(f"## {say(f'settings.title.{level.value}')}\n{line}"),
        accent_colour=BLURPLE,
    )
    custom_id = SettingValueId(level.value, name)
    row = discord.ui.ActionRow[Any]()
    match KINDS[name]:
        case Kind.ROLES:
            row.add_item(Routed(_roles(custom_id, own or (), say("settings.choose_roles"))))
        case Kind.CHANNEL:
            row.add_item(Routed(_channel(custom_id, own, say("settings.choose_channel"))))
        case _:
            chosen = (YES if own else NO) if isinstance(own, bool) else as_entered(own)
            options = [
                _option(choice_label(say, name, each), each, chosen=each == chosen)
                for each in choices
            ]
            row = _select(custom_id, options, say("settings.choose"))
    container.add_item(row)
    buttons = discord.ui.ActionRow[Any]()
    if own is not None:
        reset = SettingResetId(level.value, name)
        buttons.add_item(routed_button(say("settings.reset"), reset, "↩️"))
    buttons.add_item(routed_button(say("settings.back"), SettingBackId(level.value, group), "◀️"))
    container.add_item(buttons)
    return _view(container)


def _roles(custom_id: CustomId, own: Sequence[int], placeholder: str) -> discord.ui.RoleSelect[Any]:
    kind = discord.SelectDefaultValueType.role
    return discord.ui.RoleSelect(
        custom_id=str(custom_id),
        placeholder=placeholder,
        min_values=0,
        max_values=ROLES_MAX,
        default_values=[discord.SelectDefaultValue(id=role, type=kind) for role in own],
    )


def _channel(
    custom_id: CustomId, own: int | None, placeholder: str
) -> discord.ui.ChannelSelect[Any]:
    kind = discord.SelectDefaultValueType.channel
    return discord.ui.ChannelSelect(
        custom_id=str(custom_id),
        placeholder=placeholder,
        channel_types=[discord.ChannelType.text, discord.ChannelType.news],
        default_values=[] if own is None else [discord.SelectDefaultValue(id=own, type=kind)],
    )


def _option(label: str, value: str, *, chosen: bool = False) -> discord.SelectOption:
    return discord.SelectOption(
        label=shortened(seen(label), LABEL_MAX), value=value, default=chosen
    )


def _select(
    custom_id: CustomId, options: list[discord.SelectOption], placeholder: str
) -> discord.ui.ActionRow[Any]:
    select = discord.ui.Select[Any](
        custom_id=str(custom_id), options=options, placeholder=placeholder
    )
    return discord.ui.ActionRow[Any](Routed(select))


def _view(container: discord.ui.Container[Any]) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(container)
    return view
