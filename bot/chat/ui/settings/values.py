"""Settings in words: their values, and where they come from."""

import re
from collections.abc import Sequence
from typing import Any, Final

from discord.app_commands import Choice

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.markdown import codes, one_line, seen, shortened
from bot.errors import InvalidRequest
from bot.levels import Level
from bot.levels.entering import KINDS, Kind
from bot.levels.showing import Shown
from bot.texts.language import Say
from catalog import TAG, Catalog
from catalog.search import Index, fold

TEXT_SHOWN: Final = 120
NAMES_SHOWN: Final = 500
NEAREST: Final = 3
"""How many settings are named that a person may have meant."""


def value_text(say: Say, name: str, value: Any, catalog: Catalog, *, nsfw: bool) -> str:
    """A value as part of a line. Gated names are left out where `nsfw` is False."""
    match KINDS[name]:
        case Kind.FLAG:
            return say("settings.choice.yes") if value else say("settings.choice.no")
        case Kind.ROLES:
            return " ".join(f"<@&{role}>" for role in value)
        case Kind.CHANNEL:
            return f"<#{value}>"
        case Kind.CHOICE if name == "image_check" and value != "off":
            return say("settings.checked", what=choice_label(say, name, value))
        case Kind.CHOICE:
            return choice_label(say, name, f"{value:g}" if name == "max_upscale" else value)
        case Kind.NAMES:
            return _names(say, name, value, catalog, nsfw=nsfw)
        case Kind.NUMBER:
            return say("settings.number", value=value)
        case _ if names_gated(name, value, catalog, nsfw=nsfw):
            return say("settings.gated")
        case _ if name == "model" and value in catalog.models:
            return one_line(catalog.models[value].name, TEXT_SHOWN)
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


def names_gated(name: str, value: Any, catalog: Catalog, *, nsfw: bool) -> bool:
    """Whether a value names what may not be named there: a model, LoRA or embedding for
    age-restricted channels."""
    if nsfw or value is None or KINDS[name] not in (Kind.TEXT, Kind.NAMES):
        return False
    text = value if isinstance(value, str) else " ".join(value)
    embeddings = catalog.embeddings.entries.values()
    entries = (*catalog.models.values(), *catalog.adapters.values(), *embeddings)
    called = {word for entry in entries if entry.nsfw for word in (entry.key, entry.name)}
    called |= {entry.token for entry in embeddings if entry.nsfw and entry.token}
    return any(
        re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in called
    )


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
    say: Say, level: Level, name: str, shown: Sequence[Shown], catalog: Catalog, *, nsfw: bool
) -> str:
    """One line of a panel."""
    values = _values(say, level, name, shown, catalog, nsfw=nsfw)
    return say("settings.line", name=say(f"settings.name.{name}"), values=values)


def changed_line(
    say: Say, level: Level, name: str, shown: Sequence[Shown], catalog: Catalog, *, nsfw: bool
) -> str:
    """That a setting was changed, and what holds now."""
    values = _values(say, level, name, shown, catalog, nsfw=nsfw)
    return say("settings.saved", name=say(f"settings.name.{name}"), values=values)


def _values(
    say: Say, level: Level, name: str, shown: Sequence[Shown], catalog: Catalog, *, nsfw: bool
) -> str:
    """What holds, each with where it comes from. Where no level says which model, the bot's own
    default is named."""
    texts = []
    for each in shown:
        value = each.value
        if value is None and name == "model":
            value = catalog.default or None
        if value is None or value == ():
            texts.append(say("settings.none"))
            continue
        text = value_text(say, name, value, catalog, nsfw=nsfw)
        texts.append(say("settings.value", value=text, source=source_text(say, level, each)))
    return ", ".join(texts)


def setting_choices(say: Say, text: str, names: Sequence[str]) -> list[Choice[str]]:
    """The settings whose name contains what was typed."""
    wanted = text.strip().casefold()
    labels = {name: say(f"settings.name.{name}") for name in names}
    found = [name for name, label in labels.items() if wanted in f"{label} {name}".casefold()]
    return [
        Choice(name=shortened(seen(labels[name]), CHOICE_LENGTH), value=name)
        for name in found[:CHOICES_MAX]
    ]


def setting_named(say: Say, text: str, names: Sequence[str]) -> str:
    """The setting of `names` that `text` means: its name in the person's language or its key,
    ignoring case. Raises InvalidRequest with the nearest ones."""
    wanted = fold(text)
    labels = {name: say(f"settings.name.{name}") for name in names}
    for name, label in labels.items():
        if wanted in (fold(label), fold(name)):
            return name
    index = Index(labels.items())
    near = tuple(labels[names[number]] for number in index.nearest(text, lambda _: True, NEAREST))
    if near:
        raise InvalidRequest("name", "settings.unknown", value=text, nearest=near)
    raise InvalidRequest("name", "settings.unlike", value=text, known=tuple(labels.values()))
