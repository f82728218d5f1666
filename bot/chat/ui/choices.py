"""Autocomplete choices: at most 25, of at most 100 characters, without disk or network access."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from discord.app_commands import Choice

from bot.chat.ui.extending import BOTH_SIDES, RATIOS, WAYS, way_label
from bot.chat.ui.markdown import seen, shortened
from bot.chat.ui.pages import kind, misfit_mark
from bot.errors import InvalidRequest
from bot.request import CONTROLS_MAX, DETAILS_MAX, USUAL_WORDS
from bot.request.dialects.samplers import find_scheduler
from bot.request.syntax import parse_size, usual_sizes
from bot.texts.language import Say
from catalog import (
    AdapterEntry,
    AdapterFacts,
    Catalog,
    ControlNetEntry,
    ModelEntry,
)

CHOICES_MAX = 25
CHOICE_LENGTH = 100
_CONTROL: Final = re.compile(r"([^:]*?)((?:\s*:|\s+(?:from|until|as)\b).*)?", re.IGNORECASE)
"""A ControlNet as it is typed, and what is said of it: its weight, its steps, and so on."""


def model_choices(
    text: str,
    catalog: Catalog,
    *,
    nsfw: bool,
    first: Sequence[str] = (),
    among: Collection[str] | None = None,
) -> list[Choice[str]]:
    """The models that match, by key or name.

    first: keys that go before what matches as well. among: keys of those that may; None: of all.
    """
    limit = CHOICES_MAX if among is None else len(catalog.models)
    found = catalog.search_models(text, nsfw=nsfw, limit=limit, first=first)
    fitting = [entry for entry in found if among is None or entry.key in among][:CHOICES_MAX]
    return [Choice(name=_cut(f"{entry.name} · {entry.key}"), value=entry.key) for entry in fitting]


def labelled(name: str, value: str) -> Choice[str]:
    """One choice; a name that is too long is cut."""
    return Choice(name=_cut(f"{name} · {value}"), value=value)


def upscaler_choices(text: str, catalog: Catalog, *, nsfw: bool) -> list[Choice[str]]:
    """The upscalers that match, by key or name."""
    found = catalog.upscalers.search(text, nsfw=nsfw, limit=CHOICES_MAX)
    return [Choice(name=_cut(f"{entry.name} · {entry.key}"), value=entry.key) for entry in found]


def adapter_choices(
    text: str,
    catalog: Catalog,
    say: Say,
    *,
    nsfw: bool,
    model: str | None,
    first: Sequence[str] = (),
) -> list[Choice[str]]:
    """Complete the last LoRA of `a:0.6, b` and keep the earlier ones as typed.

    A LoRA that does not fit the model is offered only to a user who types its name, last and with
    the reason. A choice whose value would exceed Discord's 100 characters is left out; it can still
    be typed. first: as in `model_choices`.
    """
    head, comma, last = text.rpartition(",")
    kept = f"{head.strip()}, " if comma and head.strip() else ""
    name, colon, weight = last.strip().partition(":")
    taken = {part.split(":")[0].strip().casefold() for part in head.split(",")}
    found = catalog.search_adapters(
        name.strip(), nsfw=nsfw, model=model, exclude=taken, limit=CHOICES_MAX, first=first
    )
    if name.strip() and len(found) < CHOICES_MAX:
        found += catalog.search_misfits(
            name.strip(), nsfw=nsfw, model=model, exclude=taken, limit=CHOICES_MAX - len(found)
        )
    choices = []
    for entry in found:
        value = f"{kept}{entry.key}{colon}{weight.strip()}"
        if len(value) <= CHOICE_LENGTH:
            why = catalog.misfit(entry.key, model)
            facts = catalog.facts(entry.key) or AdapterFacts()
            about = [value, f"{entry.name} ({entry.default_weight:g})", *kind(say, facts)]
            name = " · ".join(
                [value, misfit_mark(say, entry, why, catalog, nsfw=nsfw)] if why else about
            )
            if not why:
                name = _with_triggers(name, entry, facts, say)
            choices.append(Choice(name=_cut(name), value=value))
    return choices


def tag_choices(text: str, tags: Iterable[tuple[str, int]]) -> list[Choice[str]]:
    """The tags that contain what was typed. tags: each with how many entries have it."""
    wanted = text.strip().casefold()
    found = [(tag, count) for tag, count in tags if wanted in tag]
    return [Choice(name=_cut(f"{tag} · {count}"), value=tag) for tag, count in found[:CHOICES_MAX]]


def _with_triggers(name: str, entry: AdapterEntry, facts: AdapterFacts, say: Say) -> str:
    """`name` and as many trigger words as there is room for."""
    code = "loras.triggers" if entry.trigger_words else "loras.suggested"
    words = entry.trigger_words or facts.candidates
    for count in range(len(words), 0, -1):
        longer = f"{name} · {say(code, words=', '.join(words[:count]))}"
        if len(longer) <= CHOICE_LENGTH:
            return longer
    return name


def scheduler_choices(text: str, schedulers: Sequence[str]) -> list[Choice[str]]:
    """The one of `schedulers` meant, in any spelling, then those whose name contains the text.

    All of them if there is no match.
    """
    wanted = text.strip().casefold()
    found = [name for name in schedulers if wanted in name.casefold()]
    with suppress(InvalidRequest):
        meant = find_scheduler(text, schedulers)
        found = [meant, *(name for name in found if name != meant)]
    found = found or [*schedulers]
    return [Choice(name=name, value=name) for name in found[:CHOICES_MAX]]


def size_choices(text: str, model: ModelEntry, say: Say) -> list[Choice[str]]:
    """What was typed, if it is a size, then presets at the model's pixel count."""
    sizes: dict[tuple[int, int], str] = {}
    try:
        width, height = parse_size(text, model.size, model.family)
    except InvalidRequest:
        pass
    else:
        sizes[width, height] = f"{width}x{height}"
    width, height = model.size
    sizes.setdefault((width, height), say("size.native", width=width, height=height))
    for (width, height), (across, down) in usual_sizes(model).items():
        shape = "square" if across == down else "portrait" if across < down else "landscape"
        label = say(f"size.{shape}", width=width, height=height, ratio=f"{across}:{down}")
        sizes.setdefault((width, height), label)
    wanted = text.strip().casefold()
    return [
        Choice(name=_cut(label), value=f"{width}x{height}")
        for n, ((width, height), label) in enumerate(sizes.items())
        if n == 0 or wanted in label.casefold()
    ]


def extend_choices(text: str, say: Say) -> list[Choice[str]]:
    """The usual ways to extend an image that contain the text; anything else can be typed."""
    usual = [*WAYS, *RATIOS, BOTH_SIDES]
    found = [labelled(way_label(say, way), way) for way in usual]
    wanted = text.strip().casefold()
    return [choice for choice in found if wanted in choice.name.casefold()]


def control_choices(
    text: str, catalog: Catalog, *, nsfw: bool, model: ModelEntry
) -> list[Choice[str]]:
    """Complete the last ControlNet of `canny:0.8, depth until 60%` and keep all else as typed.

    Of one for several types, each is a choice. What would exceed 100 characters is left out.
    """
    head, _, last = text.rpartition(",")
    earlier = [part.strip() for part in head.split(",") if part.strip()]
    if len(earlier) >= CONTROLS_MAX:
        return []
    kept = f"{', '.join(earlier)}, " if earlier else ""
    match = _CONTROL.fullmatch(last.strip())
    name, further = (match[1], match[2] or "") if match else (last.strip(), "")
    wanted, _, kind = (part.strip() for part in name.partition("/"))
    found = catalog.controlnets.search(wanted, nsfw=nsfw, model=model)
    named = [(entry, value) for entry in found for value in _meant(entry, wanted, kind, catalog)]
    for entry in catalog.controlnets.offered(nsfw=nsfw, model=model):
        if entry not in found:  # then it may still follow what was typed
            named += [(entry, value) for value in _types_of(entry, wanted, catalog) if "/" in value]
    values = [(f"{kept}{value}{further}", entry) for entry, value in named]
    fitting = [(value, entry) for value, entry in values if len(value) <= CHOICE_LENGTH]
    return [
        Choice(name=_cut(f"{value} · {entry.name}"), value=value)
        for value, entry in fitting[:CHOICES_MAX]
    ]


def detail_choices(text: str) -> list[Choice[str]]:
    """Complete the last word of `face, hand` and keep all else as typed."""
    head, _, last = text.rpartition(",")
    earlier = [part.strip() for part in head.split(",") if part.strip()]
    if len(earlier) >= DETAILS_MAX:
        return []
    kept = f"{', '.join(earlier)}, " if earlier else ""
    words = [part.partition(":")[0].strip().casefold() for part in earlier]
    wanted = last.strip().casefold()
    found = [word for word in USUAL_WORDS if word.startswith(wanted) and word not in words]
    values = [f"{kept}{word}" for word in found]
    return [Choice(name=value, value=value) for value in values if len(value) <= CHOICE_LENGTH]


def describe_choices(text: str, styles: Sequence[str], say: Say) -> list[Choice[str]]:
    """styles: those in which images can be described here."""
    wanted = text.strip().casefold()
    named = {style: f"{style}: {say(f'describe.styles.{style}')}" for style in styles}
    return [
        Choice(name=_cut(label), value=style)
        for style, label in named.items()
        if wanted in label.casefold()
    ]


def _meant(entry: ControlNetEntry, wanted: str, kind: str, catalog: Catalog) -> Iterable[str]:
    """How one is typed that was found by `wanted`, with `kind` behind it: what was found in its
    name may have been meant as a type."""
    of_wanted = () if kind else (*_types_of(entry, wanted, catalog),)
    return of_wanted or _types_of(entry, kind, catalog)


def _types_of(entry: ControlNetEntry, kind: str, catalog: Catalog) -> Iterator[str]:
    """How it is typed: with each of its types that begins with `kind`, if it has several."""
    types = catalog.controlnets.types_of(entry.key)
    if len(types) == 1:
        yield entry.key
        return
    for name in types:
        if name.startswith(kind.casefold()):
            yield f"{entry.key}/{name}"


def _cut(text: str) -> str:
    return shortened(seen(text), CHOICE_LENGTH)
