"""Settings in words: their values, and where they come from."""

from collections.abc import Sequence
from typing import Any, Final

from discord.app_commands import Choice

from bot.chat.ui.markdown import codes, one_line, seen, shortened
from bot.levels import Level
from bot.levels.entering import KINDS, Kind
from bot.levels.showing import Shown
from bot.texts.language import Say
from catalog import TAG, Catalog

CHOICES_MAX: Final = 25
CHOICE_LENGTH: Final = 100
TEXT_SHOWN: Final = 120
NAMES_SHOWN: Final = 500


def value_text(say: Say, name: str, value: Any, catalog: Catalog, *, nsfw: bool) -> str:
    """A value as part of a line; `–` for none. Gated names are left out where `nsfw` is False."""
    if value is None or value == ():
        return say("settings.none")
    match KINDS[name]:
        case Kind.FLAG:
            return say("settings.choice.yes") if value else say("settings.choice.no")
        case Kind.ROLES:
            return " ".join(f"<@&{role}>" for role in value)
        case Kind.CHANNEL:
            return f"<#{value}>"
        case Kind.CHOICE:
            return choice_label(say, name, f"{value:g}" if name == "max_upscale" else value)
        case Kind.NAMES:
            return _names(say, name, value, catalog, nsfw=nsfw)
        case Kind.NUMBER:
            return say("settings.number", value=value)
        case _ if name == "model" and _gated(catalog, value, nsfw=nsfw):
            return say("settings.gated")
        case _:
            return one_line(value, TEXT_SHOWN)


def _names(say: Say, name: str, value: Sequence[str], catalog: Catalog, *, nsfw: bool) -> str:
    entries = catalog.models if name.endswith("models") else catalog.adapters
    shown = [
        each
        for each in value
        if each.startswith(TAG) or nsfw or each not in entries or not entries[each].nsfw
    ]
    parts = [codes(shown, NAMES_SHOWN)] if shown else []
    if len(shown) < len(value):
        parts.append(say("settings.gated"))
    return ", ".join(parts)


def _gated(catalog: Catalog, key: str, *, nsfw: bool) -> bool:
    entry = catalog.models.get(key)
    return entry is not None and entry.nsfw and not nsfw


def choice_label(say: Say, name: str, choice: str) -> str:
    """What is chosen, in words; samplers and factors are named as they are."""
    match name:
        case "scheduler":
            return choice
        case "max_upscale":
            return say("settings.choice.never") if choice == "1" else f"{choice}×"
        case "language":
            return say(f"settings.language.{choice}")
        case _:
            return say(f"settings.choice.{choice}")


def source_text(say: Say, level: Level, shown: Shown) -> str:
    """Where a value comes from, as `level` sees it."""
    if shown.source is None:
        return say("settings.from.bot")
    if shown.source is level:
        return say(f"settings.own.{level.value}")
    return say(f"settings.from.{shown.source.value}")


def setting_line(
    say: Say, level: Level, name: str, shown: Shown, catalog: Catalog, *, nsfw: bool
) -> str:
    """One line of a panel."""
    return say(
        "settings.line",
        name=say(f"settings.name.{name}"),
        value=value_text(say, name, shown.value, catalog, nsfw=nsfw),
        source=source_text(say, level, shown),
    )


def changed_line(
    say: Say, level: Level, name: str, shown: Shown, catalog: Catalog, *, nsfw: bool
) -> str:
    """That a setting was changed, and what holds now."""
    return say(
        "settings.saved",
        name=say(f"settings.name.{name}"),
        value=value_text(say, name, shown.value, catalog, nsfw=nsfw),
        source=source_text(say, level, shown),
    )


def setting_choices(say: Say, text: str, names: Sequence[str]) -> list[Choice[str]]:
    """The settings whose name contains what was typed."""
    wanted = text.strip().casefold()
    labels = {name: say(f"settings.name.{name}") for name in names}
    found = [name for name, label in labels.items() if wanted in f"{label} {name}".casefold()]
    return [
        Choice(name=shortened(seen(labels[name]), CHOICE_LENGTH), value=name)
        for name in found[:CHOICES_MAX]
    ]
