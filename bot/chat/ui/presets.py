"""Presets that people saved, and the owner's styles: suggestions, and the pages of a list."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import discord
from discord.app_commands import Choice

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.markdown import codes, cut_off, one_line, seen, shortened, shown
from bot.chat.ui.messages import BLURPLE
from bot.chat.ui.pages import VALUE_MAX, PageId, cut
from bot.request import Options
from bot.request.options import offers_set, offers_style
from bot.request.presets import presets_of
from bot.store.presets import SavedPreset
from bot.texts.language import Say
from catalog import Catalog, ModelEntry, StyleEntry
from catalog.search import fold

SEARCH_MAX: Final = 50
"""Characters of what is searched for, which the buttons carry."""
DESCRIPTION_MAX: Final = 200
TEXT_SHOWN: Final = 160


class PresetsPageId(PageId):
    prefix = "presets"


def saved_choices(
    text: str, saved: Sequence[SavedPreset], catalog: Catalog, say: Say, *, nsfw: bool
) -> list[Choice[str]]:
    """Those of people whose name contains `text`, each name once."""
    found: dict[str, SavedPreset] = {}
    for each in _shown((one for one in saved if fold(text) in fold(one.name)), catalog, nsfw=nsfw):
        found.setdefault(fold(each.name), each)
        if len(found) == CHOICES_MAX:
            break
    return [
        Choice(name=_cut(f"{each.name} · {whose(each, say)}"), value=each.name)
        for each in found.values()
    ]


def preset_choices(
    text: str,
    saved: Sequence[SavedPreset],
    model: ModelEntry | None,
    catalog: Catalog,
    say: Say,
    *,
    nsfw: bool,
) -> list[Choice[str]]:
    """What may follow the presets typed so far: those of the model, the person's own, the server's,
    and the styles.

    A choice whose value would have more than Discord's 100 characters is left out.
    """
    head, comma, last = text.rpartition(",")
    kept = f"{head.strip()}, " if comma and head.strip() else ""
    taken = {fold(part) for part in head.split(",")}
    last = last.strip()
    own = presets_of(model, catalog, nsfw=nsfw) if model else ()
    offered = {
        **{name: name for name in own if last.casefold() in name},
        **{c.value: c.name for c in saved_choices(last, saved, catalog, say, nsfw=nsfw)},
    }
    names = {fold(each.name) for each in saved}
    found = catalog.styles.search(
        last, lambda style: _offers(style, catalog, nsfw=nsfw), CHOICES_MAX
    )
    for style in found:
        if names.isdisjoint((fold(style.key), fold(style.name))):
            less = style.negative and model is not None and not model.takes_negative
            hint = say("presets.without_negative") if less else ""
            offered[style.key] = " · ".join(filter(None, (style.name, hint, style.description)))
    return [
        Choice(name=_cut(f"{kept}{label}"), value=f"{kept}{name}")
        for name, label in offered.items()
        if fold(name) not in taken and len(f"{kept}{name}") <= CHOICE_LENGTH
    ][:CHOICES_MAX]


def presets_page(
    say: Say,
    saved: Sequence[SavedPreset],
    catalog: Catalog,
    wanted: PresetsPageId,
    *,
    nsfw: bool,
) -> tuple[discord.Embed, int, int]:
    """The person's own, the server's, and the styles. Returns the page and the number of pages
    too."""
    search = fold(wanted.search)
    entries = [each for each in _entries(say, saved, catalog, nsfw=nsfw) if search in fold(each[0])]
    listed, page, pages = cut(entries, wanted.page)
    embed = discord.Embed(title=say("presets.title"), colour=BLURPLE)
    if not entries:
        embed.description = say("presets.nothing")
    for name, text, options in listed:
        lines = [shown(text, DESCRIPTION_MAX), *_option_lines(options)]
        value = cut_off("\n".join(filter(None, lines)), VALUE_MAX)
        embed.add_field(name=one_line(name), value=value, inline=False)
    hint = say("presets.hint")
    counter = say("pages.page", page=page + 1, pages=pages)
    embed.set_footer(text=f"{hint} · {counter}" if pages > 1 else hint)
    return embed, page, pages


def _option_lines(options: Options) -> list[str]:
    """What a preset sets, in small print: its texts on lines of their own."""
    given = dict(options.given)
    texts = {key: str(given.pop(key)) for key in ("prompt", "negative") if key in given}
    lines = [f"-# {key}: {one_line(text, TEXT_SHOWN)}" for key, text in texts.items()]
    if given:
        others = (f"{key}: {value}" for key, value in given.items())
        lines.append(f"-# {codes(others, VALUE_MAX // 3)}")
    return lines


def whose(preset: SavedPreset, say: Say) -> str:
    return say("presets.own" if preset.community is None else "presets.shared")


def _entries(
    say: Say, saved: Sequence[SavedPreset], catalog: Catalog, *, nsfw: bool
) -> Iterator[tuple[str, str, Options]]:
    """Each with its heading, what is said about it, and what it sets."""
    for each in _shown(saved, catalog, nsfw=nsfw):
        yield f"{each.name} · {whose(each, say)}", "", each.options
    for style in catalog.styles.entries.values():
        if _offers(style, catalog, nsfw=nsfw):
            yield f"{style.key} · {say('presets.style')}", style.description, Options.of(style)


def _shown(saved: Iterable[SavedPreset], catalog: Catalog, *, nsfw: bool) -> Iterator[SavedPreset]:
    """Those whose contents may be named here."""
    return (each for each in saved if offers_set(each.options, catalog, nsfw=nsfw))


def _offers(style: StyleEntry, catalog: Catalog, *, nsfw: bool) -> bool:
    return offers_style(style, catalog, nsfw=nsfw)


def _cut(text: str) -> str:
    return shortened(" ".join(seen(text).split()), CHOICE_LENGTH)
