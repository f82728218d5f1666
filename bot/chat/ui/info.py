"""What an image says of how it was generated, and which of it this catalog has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import discord

from bot.chat.ui.actions import routed_button
from bot.chat.ui.custom_id import CustomId
from bot.chat.ui.markdown import code, codes, one_line, shortened, shown
from bot.errors import UserError
from bot.files.image_info import ImageInfo
from bot.files.image_info.matching import Match, Matches
from bot.files.image_info.settings import Unmapped
from bot.files.image_info.telling import as_text
from bot.texts.language import Say

PROMPT_SHOWN: Final = 2_000
NEGATIVE_SHOWN: Final = 800
SETTINGS_SHOWN: Final = 700
FILES_SHOWN: Final = 900
UNMAPPED_SHOWN: Final = 1_000
"""All of them fit into the 6,000 characters that an embed may have."""
FILE_NAME: Final = "image-info.txt"
_VALUE_SHOWN: Final = 80

Why = Callable[[UserError], str]
"""What to tell a person of an error."""


@dataclass(frozen=True)
class UseSettingsId(CustomId):
    """Opens a form with settings that were kept."""

    prefix: ClassVar[str] = "settings"

    form_id: str


@dataclass(frozen=True)
class SettingsFormId(CustomId):
    """Asks for an image with settings that came from no result of ours. form_id: as above."""

    prefix: ClassVar[str] = "settingsform"

    form_id: str


def info_embed(
    say: Say, why: Why, info: ImageInfo, matches: Matches, unmapped: tuple[Unmapped, ...]
) -> discord.Embed:
    """unmapped: what cannot be used here as it is."""
    embed = discord.Embed(
        title=f"{say('info.title')} · {one_line(info.program)}",
        description=shown(info.prompt, PROMPT_SHOWN),
    )
    if info.negative:
        negative = shown(info.negative, NEGATIVE_SHOWN)
        embed.add_field(name=say("result.negative"), value=negative, inline=False)
    if settings := _joined(_settings(say, info), " · ", SETTINGS_SHOWN):
        embed.add_field(name=say("details.settings"), value=settings, inline=False)
    if files := _joined([_file(say, match) for match in _all(matches)], "\n", FILES_SHOWN):
        embed.add_field(name=say("info.files"), value=files, inline=False)
    lines = [_line(say, why, each) for each in unmapped]
    if notes := _joined(lines, "\n", UNMAPPED_SHOWN):
        embed.add_field(name=say("info.unmapped"), value=notes, inline=False)
    return embed


def info_view(say: Say, form_id: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    primary = discord.ButtonStyle.primary
    view.add_item(routed_button(say("button.settings"), UseSettingsId(form_id), "✏️", primary))
    return view


def info_file(say: Say, why: Why, info: ImageInfo, unmapped: tuple[Unmapped, ...]) -> bytes | None:
    """The whole of it as a text file; None if the embed has room for all."""
    settings = " · ".join(_settings(say, info))
    notes = [_line(say, why, each) for each in unmapped]
    fits = (
        len(info.prompt) <= PROMPT_SHOWN // 2
        and len(info.negative) <= NEGATIVE_SHOWN // 2
        and len(settings) <= SETTINGS_SHOWN
        and sum(map(len, notes)) + len(notes) <= UNMAPPED_SHOWN
        and not any(len(each.value) > _VALUE_SHOWN for each in unmapped)
    )
    if fits:
        return None
    return as_text(info).encode("utf-8", "replace")


def _settings(say: Say, info: ImageInfo) -> list[str]:
    parts = []
    if info.size is not None:
        parts.append(f"{info.size[0]}×{info.size[1]}")
    if info.steps is not None:
        parts.append(say("facts.steps", count=info.steps))
    if info.guidance is not None:
        parts.append(say("facts.guidance", guidance=info.guidance))
    parts += [one_line(name, _VALUE_SHOWN) for name in (info.sampler, info.schedule) if name]
    if info.seed is not None:
        parts.append(say("facts.seed", seeds=code(str(info.seed))))
    if info.variation:
        mixes = codes(info.variation.split(", "), SETTINGS_SHOWN)
        parts.append(say("facts.variation", mixes=mixes))
    if info.clip_skip is not None:
        parts.append(say("facts.clip_skip", layer=info.clip_skip))
    if info.hires is not None:
        parts.append(say("info.hires", scale=f"{info.hires:g}"))
    if info.strength is not None:
        parts.append(say("facts.image", strength=f"{info.strength:g}"))
    if info.detail:
        parts.append(say("facts.detail", words=one_line(info.detail, _VALUE_SHOWN)))
    if info.tile:
        parts.append(say("facts.tile"))
    return parts


def _all(matches: Matches) -> list[Match]:
    return [*filter(None, [matches.model]), *matches.loras]


def _file(say: Say, match: Match) -> str:
    name = one_line(str(match.file), _VALUE_SHOWN)
    if match.key is None:
        return say("info.absent", name=name)
    return say("info.other" if match.other else "info.here", name=name, key=code(match.key))


def _line(say: Say, why: Why, each: Unmapped) -> str:
    value = shortened(each.value, _VALUE_SHOWN)
    line = one_line(say("info.value", name=shortened(each.name, _VALUE_SHOWN), value=value))
    if each.why is not None:
        reason = why(each.why)  # most name the value themselves
        return reason if one_line(value) in reason else f"{line} · {reason}"
    if each.instead and each.name in ("prompt", "negative"):
        return say("info.cut", name=each.name)
    return say("info.instead", line=line, instead=code(each.instead)) if each.instead else line


def _joined(parts: list[str], between: str, room: int) -> str:
    """As many of them as fit, and … for the rest."""
    kept: list[str] = []
    for part in parts:
        room -= len(part) + len(between)
        if room < 1:
            kept.append("…")
            break
        kept.append(part)
    return between.join(kept)
