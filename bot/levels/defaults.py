"""What is used where a person gives nothing: the nearest default that is allowed. Pure."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf, prod
from typing import Final, TypeVar

from bot.errors import UserError
from bot.levels.rules import Rules
from bot.request import Draft, find_model, find_scheduler
from bot.request.offers import editing_models, find_adapter
from bot.request.pictures import size_within
from bot.request.shaping import usual_size
from bot.request.syntax import AdapterAsk, extract_tags, parse_adapters, parse_size
from catalog import WEIGHT_MAX, WEIGHT_MIN, Catalog, ModelEntry

T = TypeVar("T")
LORAS: Final = "loras"


def with_defaults(
    draft: Draft,
    rules: Rules,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int,
    without: Collection[str] = (),
) -> Draft:
    """`draft` with defaults where it says nothing, within the limits of `rules`.

    A default that does not fit is left out, and a number that is too high is lowered. catalog: what
    is offered there. without: the names of defaults that are not to be used. A draft whose model
    may not be used is returned as it is: composing it says why.
    """
    model = _model(draft, rules, catalog, nsfw=nsfw)
    if model is None:
        return draft
    draft = replace(draft, model=draft.model or model.key)
    if LORAS not in without and not draft.lora and not draft.adapters and not _tagged(draft):
        draft = replace(draft, adapters=_loras(rules, catalog, model, nsfw, adapters_max))
    if draft.negative is None and model.takes_negative:
        draft = replace(draft, negative=_first(rules.defaults.negative, lambda _: True))
    if draft.size is None:
        draft = replace(draft, size=_size(draft, rules, model))
    if draft.preset:
        return draft  # which has numbers and a scheduler of its own
    return replace(
        draft,
        steps=_steps(rules, model) if draft.steps is None else draft.steps,
        guidance=_guidance(rules, model) if draft.guidance is None else draft.guidance,
        scheduler=draft.scheduler or _scheduler(rules, model),
    )


def _first(values: Sequence[T], fits: Callable[[T], bool]) -> T | None:
    return next((value for value in values if fits(value)), None)


def _model(draft: Draft, rules: Rules, catalog: Catalog, *, nsfw: bool) -> ModelEntry | None:
    """The model that is meant; None if that one may not be used."""
    names = [draft.model] if draft.model else [*rules.defaults.model, ""]
    able = editing_models if draft.pictures else Catalog.offered_models
    offered = [entry.key for entry in able(catalog, nsfw=nsfw)]
    for name in names:
        with suppress(UserError):
            found = find_model(catalog, name or next(iter(offered), ""), nsfw=nsfw)
            if draft.model or found.key in offered:
                return found
    return None


def _tagged(draft: Draft) -> bool:
    """Whether the prompt names LoRAs."""
    try:
        return bool(extract_tags(draft.prompt)[1])
    except UserError:
        return True  # composing says what is wrong with the tag


def _loras(
    rules: Rules, catalog: Catalog, model: ModelEntry, nsfw: bool, most: int
) -> tuple[AdapterAsk, ...]:
    for text in rules.defaults.loras:
        found: dict[str, AdapterAsk] = {}
        for ask in parse_adapters(text, catalog.adapters_called):
            with suppress(UserError):
                entry = find_adapter(catalog, ask.name, model=model, nsfw=nsfw)
                if all(w is None or _weighs(w) for w in (ask.weight, ask.text_weight)):
                    found.setdefault(entry.key, ask)
        if found:
            return tuple(found.values())[:most]
    return ()


def _weighs(weight: float) -> bool:
    return WEIGHT_MIN <= weight <= WEIGHT_MAX


def _steps(rules: Rules, model: ModelEntry) -> int | None:
    bounds = model.steps
    most = bounds.max if rules.steps_max is None else min(bounds.max, rules.steps_max)
    wanted = next(iter(rules.defaults.steps), bounds.default)
    steps = max(bounds.min, min(wanted, most))
    return None if steps == bounds.default else steps


def _guidance(rules: Rules, model: ModelEntry) -> float | None:
    bounds = model.guidance
    wanted = next(iter(rules.defaults.guidance), None)
    return None if wanted is None else max(bounds.min, min(wanted, bounds.max))


def _scheduler(rules: Rules, model: ModelEntry) -> str | None:
    for given in rules.defaults.scheduler:
        with suppress(UserError):
            name = find_scheduler(given, model.family.schedulers)
            if name in model.schedulers:
                return name
    return None


def _size(draft: Draft, rules: Rules, model: ModelEntry) -> str | None:
    """None for the usual one."""
    if draft.shaping is None:
        for text in rules.defaults.size:
            with suppress(UserError):
                size = parse_size(text, model.size, model.family)
                if _fits(size, model) and _allowed(size, draft, rules):
                    return "{}x{}".format(*size)
    try:
        usual = usual_size(draft, model)
    except UserError:
        return None  # composing says what is wrong with `extend`
    if _allowed(usual, draft, rules):
        return None
    scale = draft.hires or 1
    smaller = size_within(*usual, model, (rules.pixels_max or inf) / (scale * scale))
    return "{}x{}".format(*smaller)


def _fits(size: tuple[int, int], model: ModelEntry) -> bool:
    step = model.family.pixel_step
    return (
        all(model.min_side <= side <= model.max_side and side % step == 0 for side in size)
        and prod(size) <= model.max_pixels
    )


def _allowed(size: tuple[int, int], draft: Draft, rules: Rules) -> bool:
    scale = draft.hires or 1
    return rules.pixels_max is None or prod(size) * scale * scale <= rules.pixels_max
