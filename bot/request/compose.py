"""From what a person typed to a GenerationRequest in which everything is resolved and checked."""

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from bot.errors import InvalidRequest, Refused
from bot.request.model import SEED_MAX, AdapterUse, GenerationRequest
from bot.request.syntax import PIXEL_STEP, AdapterAsk, extract_tags, parse_adapters, parse_size
from catalog import WEIGHT_MAX, WEIGHT_MIN, AdapterEntry, Catalog, ModelEntry

Entry = TypeVar("Entry", ModelEntry, AdapterEntry)
Number = TypeVar("Number", int, float)

PROMPT_MAX = 2_000
COUNT_MAX = 4
ADAPTERS_MAX = 4
NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request as typed; None where nothing was given.

    lora: `anime-style:0.6, detail`, or tags. size: `832x1216` or `16:9`.
    """

    prompt: str = field(repr=False)
    model: str | None = None
    lora: str | None = None
    negative: str | None = field(default=None, repr=False)
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    size: str | None = None
    count: int | None = None


def draw_seed() -> int:
    return secrets.randbelow(SEED_MAX + 1)


def compose(
    draft: Draft, catalog: Catalog, *, nsfw: bool, draw: Callable[[], int] = draw_seed
) -> GenerationRequest:
    """Resolve and check `draft`.

    nsfw: whether entries marked so may be used where the answer will be shown.
    Raises InvalidRequest (a field's value is wrong) or Refused (the model or LoRA is not offered).
    """
    prompt, tagged = extract_tags(_clean(draft.prompt))
    if not prompt:
        raise InvalidRequest("prompt", "prompt.empty")
    negative = _clean(draft.negative) if draft.negative is not None else None
    for name, text in (("prompt", prompt), ("negative", negative or "")):
        if len(text) > PROMPT_MAX:
            raise InvalidRequest(name, "prompt.long", value=len(text), max=PROMPT_MAX)

    model = find_model(catalog, draft.model or catalog.default, nsfw=nsfw)
    adapters = _adapters(
        (*tagged, *parse_adapters(draft.lora or "")), catalog, model=model, nsfw=nsfw
    )
    width, height = _size(draft.size, model)
    return GenerationRequest(
        prompt=prompt,
        negative=model.default_negative if negative is None else negative,
        model=model.key,
        adapters=tuple(AdapterUse(entry.key, weight) for entry, weight in adapters),
        trigger_words=_missing_words(prompt, [entry for entry, _ in adapters]),
        steps=_within("steps", draft.steps, model.steps.default, model.steps.min, model.steps.max),
        guidance=_within(
            "guidance",
            draft.guidance,
            model.guidance.default,
            model.guidance.min,
            model.guidance.max,
        ),
        seed=draw() if draft.seed is None else _within("seed", draft.seed, 0, 0, SEED_MAX),
        width=width,
        height=height,
        count=_within("count", draft.count, 1, 1, COUNT_MAX),
        scheduler=model.scheduler,
        clip_skip=model.clip_skip,
    )


def check_offered(request: GenerationRequest, catalog: Catalog, *, nsfw: bool) -> None:
    """Raise if the model or a LoRA of an earlier request is no longer offered here."""
    model = find_model(catalog, request.model, nsfw=nsfw)
    for use in request.adapters:
        find_adapter(catalog, use.key, model=model, nsfw=nsfw)


def find_model(catalog: Catalog, name: str, *, nsfw: bool) -> ModelEntry:
    """The offered model of that key or name, in any case."""
    if not name:
        raise Refused("model.none")
    entry = _named(catalog.models, name)
    if entry is None:
        if near := ", ".join(catalog.nearest_models(name, nsfw=nsfw)):
            raise InvalidRequest("model", "model.unknown", value=name, nearest=near)
        offered = ", ".join(entry.key for entry in catalog.offered_models(nsfw=nsfw)[:NAMES_SHOWN])
        raise InvalidRequest("model", "model.unlike", value=name, offered=offered)
    if not entry.enabled:
        raise Refused("model.disabled", name=entry.key)
    if entry.nsfw and not nsfw:
        raise Refused("model.nsfw", name=entry.key)
    return entry


def find_adapter(catalog: Catalog, name: str, *, model: ModelEntry, nsfw: bool) -> AdapterEntry:
    """The offered LoRA of that key or name, in any case, if it fits `model`."""
    entry = _named(catalog.adapters, name)
    if entry is None:
        if near := ", ".join(catalog.nearest_adapters(name, nsfw=nsfw, model=model.key)):
            raise InvalidRequest("lora", "lora.unknown", value=name, nearest=near)
        raise InvalidRequest("lora", "lora.unlike", value=name)
    if not entry.enabled:
        raise Refused("lora.disabled", name=entry.key)
    if entry.nsfw and not nsfw:
        raise Refused("lora.nsfw", name=entry.key)
    if entry.models and model.key not in entry.models:
        raise Refused(
            "lora.other_model", name=entry.key, model=model.key, models=", ".join(entry.models)
        )
    if why := catalog.misfit(entry.key):
        if why.kind == "base":
            raise Refused(
                "lora.other_base",
                name=entry.key,
                base=why.found,
                model=model.key,
                allowed=why.allowed,
            )
        raise Refused("lora.unsupported", name=entry.key, family=why.found, allowed=why.allowed)
    return entry


def _named(entries: Mapping[str, Entry], name: str) -> Entry | None:
    wanted = name.strip().casefold()
    if wanted in entries:
        return entries[wanted]
    return next((entry for entry in entries.values() if entry.name.casefold() == wanted), None)


def _adapters(
    asks: Sequence[AdapterAsk], catalog: Catalog, *, model: ModelEntry, nsfw: bool
) -> list[tuple[AdapterEntry, float]]:
    if len(asks) > ADAPTERS_MAX:
        raise InvalidRequest("lora", "lora.many", value=len(asks), max=ADAPTERS_MAX)
    for ask, following in pairwise(asks):
        # 0,6 as half of Europe writes it.
        digits = following.weight is None and following.name.isdecimal()
        if ask.weight is not None and digits and _named(catalog.adapters, following.name) is None:
            value = f"{ask.weight:g},{following.name}"
            raise InvalidRequest("lora", "lora.bad_weight", name=ask.name, value=value)
    chosen: dict[str, tuple[AdapterEntry, float]] = {}
    for ask in asks:
        entry = find_adapter(catalog, ask.name, model=model, nsfw=nsfw)
        if entry.key in chosen:
            raise InvalidRequest("lora", "lora.twice", value=entry.key)
        weight = entry.default_weight if ask.weight is None else ask.weight
        if not WEIGHT_MIN <= weight <= WEIGHT_MAX:
            raise InvalidRequest(
                "lora", "lora.weight", name=entry.key, value=weight, min=WEIGHT_MIN, max=WEIGHT_MAX
            )
        chosen[entry.key] = (entry, weight)
    return list(chosen.values())


def _missing_words(prompt: str, entries: Sequence[AdapterEntry]) -> tuple[str, ...]:
    """Trigger words that the prompt does not have as whole words, each once, in any case."""
    words: dict[str, str] = {}
    for entry in entries:
        for word in entry.trigger_words:
            if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE):
                words.setdefault(word.casefold(), word)
    return tuple(words.values())


def _size(text: str | None, model: ModelEntry) -> tuple[int, int]:
    if text is None or not text.strip():
        return model.size
    width, height = parse_size(text, model.size)
    for side in (width, height):
        if not model.min_side <= side <= model.max_side or side % PIXEL_STEP:
            raise InvalidRequest(
                "size",
                "size.side",
                value=f"{width}x{height}",
                min=model.min_side,
                max=model.max_side,
                step=PIXEL_STEP,
            )
    if width * height > model.max_pixels:
        raise InvalidRequest(
            "size",
            "size.pixels",
            value=f"{width}x{height}",
            megapixels=f"{width * height / 1e6:.2f}",
            max=f"{model.max_pixels / 1e6:.2f}",
        )
    return width, height


def _within(name: str, value: Number | None, default: Number, low: Number, high: Number) -> Number:
    if value is None:
        return default
    # Written so that NaN is refused too.
    if not low <= value <= high:
        raise InvalidRequest(name, "number.range", value=value, min=low, max=high)
    return value


def _clean(text: str) -> str:
    """Without control characters and lone surrogates, which neither SQLite nor PNG can hold."""
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()
