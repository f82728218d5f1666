"""The axes of a comparison: what each of their values changes in a draft."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from bot.errors import InvalidRequest, UserError
from bot.request.cells import CELLS_MAX
from bot.request.compose import by_hash
from bot.request.dialects.samplers import find_scheduler
from bot.request.draft import Draft
from bot.request.dynamic.variants import labelled_variants
from bot.request.hashes import Hashes
from bot.request.model import GenerationRequest
from bot.request.offers import find_adapter, find_model
from bot.request.parts import SEED_AXIS, SEED_MAX, Axis
from bot.request.pictures import within
from bot.request.presets import Preset, schedulers_of
from bot.request.syntax import AdapterAsk, extract_tags, parse_adapters, usual_sizes
from catalog import Catalog, ModelEntry

MODEL: Final = "model"
LORA: Final = "lora"
WEIGHT: Final = "weight"
STEPS: Final = "steps"
GUIDANCE: Final = "guidance"
SCHEDULER: Final = "scheduler"
SIZE: Final = "size"
PROMPT: Final = "prompt"
AXES: Final = (MODEL, LORA, WEIGHT, STEPS, GUIDANCE, SCHEDULER, SIZE, SEED_AXIS, PROMPT)
OFF: Final = "off"
ON: Final = "on"

TYPED_MAX: Final = 6_000
"""Characters of an axis's values, and of a prompt whose parts are replaced, before it is known what
of it the model reads: as many as Discord lets people type."""
USUAL: Final = 4
"""How many values an axis has if none are given, where there are so many."""
TRIED: Final = 100
"""How many models are tried for these."""
WEIGHTS: Final = (0.0, 0.4, 0.7, 1.0)
SHARES: Final = (0.5, 0.75, 1.0, 1.5)
"""Of a model's usual steps or guidance."""
SCHEDULERS: Final = ("DPM++ 2M Karras", "Euler a", "DPM++ SDE Karras", "UniPC", "DDIM", "Euler")

Change: TypeAlias = Callable[[Draft], Draft]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class AxisAsk:
    """An axis as asked for. values: as typed, such as `0.4, 0.7, 1`; None for the usual ones."""

    name: str
    values: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """An axis with what each of its values changes in the draft."""

    axis: Axis
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What values are looked up in: the draft, its model and preset, and what may be used here.

    compose: see `bot.request.compose`, for what is offered here. hashes: models may be named by
    theirs.
    """

    draft: Draft
    catalog: Catalog
    nsfw: bool
    model: ModelEntry
    preset: Preset
    compose: Callable[[Draft], GenerationRequest]
    hashes: Hashes


def axes_asked(
    axis: str, values: str | None, axis2: str | None, values2: str | None
) -> tuple[AxisAsk, ...]:
    """What is to vary, as typed. Raises InvalidRequest for values of no axis."""
    if axis2 is None and values2 is not None:
        raise InvalidRequest("axis2", "compare.no_axis")
    first = AxisAsk(axis, values)
    return (first,) if axis2 is None else (first, AxisAsk(axis2, values2))


def axis_named(name: str) -> str:
    """The axis of that name, ignoring case. Raises InvalidRequest if there is none."""
    wanted = name.strip().casefold()
    if wanted not in AXES:
        raise InvalidRequest("axis", "compare.axis", value=name, allowed=AXES)
    return wanted


def side_of(ask: AxisAsk, place: Place) -> Side:
    """The axis that `ask` means. Raises InvalidRequest or Refused."""
    name, typed = axis_named(ask.name), ask.values or ""
    if len(typed) > TYPED_MAX:
        raise InvalidRequest("values", "prompt.long", value=len(typed), max=TYPED_MAX)
    return _SIDES[name](typed.strip(), place)


def _steps(typed: str, place: Place) -> Side:
    bounds = place.preset.steps
    usual = _around(place.draft.steps or bounds.default, bounds.min, bounds.max, round)
    return _plain(STEPS, [(str(n), n) for n in _numbers(STEPS, typed, int) or usual])


def _guidance(typed: str, place: Place) -> Side:
    scales, given = place.preset.guidance, place.draft.guidance
    middle = scales.default if given is None else given
    usual = _around(middle, scales.min, scales.max, lambda n: round(n * 2) / 2)
    return _plain(GUIDANCE, [(f"{n:g}", n) for n in _numbers(GUIDANCE, typed, float) or usual])


def _seeds(typed: str, place: Place) -> Side:
    first = place.draft.seed or 0
    usual = [(first + n) % (SEED_MAX + 1) for n in range(USUAL)]
    seeds = [within(SEED_AXIS, n, 0, 0, SEED_MAX) for n in _numbers(SEED_AXIS, typed, int) or usual]
    return _plain(SEED_AXIS, [(str(seed), seed) for seed in seeds])


def _plain(name: str, values: Sequence[tuple[str, object]]) -> Side:
    """An axis of the draft's field of that name. values: each with what it is called."""
    return Side(
        Axis(name, tuple(label for label, _ in values)),
        tuple(partial(_with, name, value) for _, value in values),
    )


def _with(field: str, value: object, draft: Draft) -> Draft:
    changed: dict[str, Any] = {field: value}
    return replace(draft, **changed)


def _split(typed: str) -> list[str]:
    """`a, b` → two values; with a semicolon or a line break somewhere, only these separate.

    Raises InvalidRequest if there are more than a sheet has room for, before any is looked up.
    """
    separator = r"[;\n]" if re.search(r"[;\n]", typed) else ","
    return _counted([part for each in re.split(separator, typed) if (part := each.strip())])


def _counted(values: list[str]) -> list[str]:
    """`values`, of which there are no more than a sheet has room for. Raises InvalidRequest."""
    if len(values) > CELLS_MAX:
        raise InvalidRequest("values", "compare.many", value=len(values), max=CELLS_MAX)
    return values


def _numbers(axis: str, typed: str, kind: Callable[[str], Number]) -> list[Number]:
    """Raises InvalidRequest for what is no number. A decimal comma needs `;` between the values."""
    numbers = []
    for value in _split(typed):
        try:
            number = kind(value.replace(",", "."))
        except ValueError:
            raise InvalidRequest("values", "compare.number", value=value, axis=axis) from None
        numbers.append(number)
    return numbers


def _around(
    default: Number, low: Number, high: Number, rounded: Callable[[float], Number]
) -> list[Number]:
    """Values below, at and above a default, within its limits."""
    numbers = (min(max(rounded(default * share), low), high) for share in SHARES)
    return list(dict.fromkeys(default if n == rounded(default) else n for n in numbers))


def _models(typed: str, place: Place) -> Side:
    if named := _split(typed):
        meant = (by_hash(name, place.hashes, place.catalog, nsfw=place.nsfw) for name in named)
        keys = [find_model(place.catalog, name or "", nsfw=place.nsfw).key for name in meant]
    else:
        place.compose(place.draft)  # what is wrong with its own model is wrong with all
        offered = (entry.key for entry in place.catalog.offered_models(nsfw=place.nsfw))
        candidates = islice(dict.fromkeys((place.model.key, *offered)), TRIED)
        keys = [*islice((key for key in candidates if _fits(key, place)), USUAL)]
    return _plain(MODEL, [(key, key) for key in keys])


def _fits(model: str, place: Place) -> bool:
    """Whether everything else that was asked for can be had with that model."""
    with suppress(UserError):
        place.compose(replace(place.draft, model=model))
        return True
    return False


def _asks(draft: Draft, place: Place) -> tuple[AdapterAsk, ...]:
    """The LoRAs of a draft, however they were given."""
    _, tagged = extract_tags(draft.prompt)
    listed = parse_adapters(draft.lora or "", place.catalog.adapters_called)
    return (*tagged, *listed, *draft.adapters)


def _having(draft: Draft, asks: Sequence[AdapterAsk]) -> Draft:
    """The draft with exactly these LoRAs."""
    prompt, _ = extract_tags(draft.prompt)
    return replace(draft, prompt=prompt, lora=None, adapters=tuple(asks))


def _key(name: str, place: Place) -> str:
    """What identifies a LoRA however it is named. If it cannot be used here, `compose` says so."""
    known = place.catalog.adapters_called(name)
    return known[0] if len(known) == 1 else name.strip().casefold()


def _loras(typed: str, place: Place) -> Side:
    """`off`, `on` for all that the draft has, or LoRAs by name, several of them joined by `+`."""
    own = _asks(place.draft, place)
    values = _split(typed)
    if not values:
        one_by_one = [_spelled(ask) for ask in own] if len(own) > 1 else []
        values = [OFF, *one_by_one, ON]
    values = [value.casefold() if value.casefold() in (OFF, ON) else value for value in values]
    meant = []
    for value in values:
        if value == ON and not own:
            raise InvalidRequest("values", "compare.no_lora")
        parts = [value] if place.catalog.adapters_called(value) else value.split("+")
        called = place.catalog.adapters_called
        asks = [a for part in parts for a in parse_adapters(part, called)]
        asks = [] if value in (OFF, ON) else asks
        meant.append(own if value == ON else [_weighted(ask, own, place) for ask in asks])
    varied = {_key(ask.name, place) for asks in meant for ask in asks}

    def change(asks: Sequence[AdapterAsk], draft: Draft) -> Draft:
        kept = [ask for ask in _asks(draft, place) if _key(ask.name, place) not in varied]
        return _having(draft, (*kept, *asks))

    return Side(Axis(LORA, tuple(values)), tuple(partial(change, asks) for asks in meant))


def _weighted(ask: AdapterAsk, own: Sequence[AdapterAsk], place: Place) -> AdapterAsk:
    """With the weights that the draft gives the same LoRA, if the axis gives none."""
    same = (each for each in own if _key(each.name, place) == _key(ask.name, place))
    return next(same, ask) if ask.weight is None and ask.text_weight is None else ask


def _spelled(ask: AdapterAsk) -> str:
    weights = [f"{n:g}" for n in (ask.weight, ask.text_weight) if n is not None]
    return ":".join([ask.name, *weights])


def _weights(typed: str, place: Place) -> Side:
    """`0.4, 0.7, 1` for the only LoRA, or `name: 0.4, 0.7` for any."""
    name, colon, numbers = typed.rpartition(":")
    own = _asks(place.draft, place)
    if not colon:
        if not own:
            raise InvalidRequest("values", "compare.no_lora")
        if len(own) > 1:
            names = tuple(ask.name for ask in own)
            raise InvalidRequest(
                "values", "compare.which_lora", names=names, example=f"{names[0]}: 0.4, 0.7, 1"
            )
        name = own[0].name
    key = find_adapter(place.catalog, name.strip(), model=place.model, nsfw=place.nsfw).key
    weights = _numbers(WEIGHT, numbers, float) or WEIGHTS

    def change(weight: float, draft: Draft) -> Draft:
        asks = _asks(draft, place)
        same = [_key(ask.name, place) == key for ask in asks]
        added = [AdapterAsk(key, weight)] if colon and not any(same) else []
        varied = (replace(a, weight=weight) if s else a for a, s in zip(asks, same, strict=True))
        return _having(draft, (*varied, *added))

    axis = Axis(WEIGHT, tuple(f"{weight:g}" for weight in weights), key)
    return Side(axis, tuple(partial(change, weight) for weight in weights))


def _schedulers(typed: str, place: Place) -> Side:
    model, known = place.model, place.model.family.schedulers
    if named := _split(typed):
        names = [find_scheduler(name, known) for name in named]
    else:
        allowed = schedulers_of(place.preset.name, model, place.catalog, nsfw=place.nsfw)
        own = find_scheduler(place.draft.scheduler or place.preset.scheduler, known)
        usual = (name for name in SCHEDULERS if name in allowed)
        names = list(dict.fromkeys((own, *usual, *allowed)))[:USUAL]
    return _plain(SCHEDULER, [(name, name) for name in names])


def _sizes(typed: str, place: Place) -> Side:
    if place.draft.extend:
        raise InvalidRequest("axis", "compare.extended")
    values = _split(typed)
    if not values:
        # From square to wide, each lying and standing.
        spread = sorted(usual_sizes(place.model), key=lambda size: (abs(size[0] - size[1]), size))
        own = [place.draft.size] if place.draft.size else []
        values = [*own, *(f"{width}x{height}" for width, height in spread)][:USUAL]
    found = [place.compose(replace(place.draft, size=value)) for value in values]
    sizes = [f"{request.width}x{request.height}" for request in found]
    return _plain(SIZE, [(size, size) for size in (sizes if typed else dict.fromkeys(sizes))])


def _prompts(typed: str, place: Place) -> Side:
    """The variants that the prompt names, or its first value replaced by each of the others."""
    prompt = place.draft.prompt
    if typed:
        parts = _counted(typed.split("|")) if "|" in typed else _split(typed)
        values = [part.strip() for part in parts]
        if not values or not values[0] or values[0] not in prompt:
            value = values[0] if values else typed
            raise InvalidRequest("values", "compare.not_in_prompt", value=value)
        for value in values:
            longer = len(value) - len(values[0])
            if (length := len(prompt) + prompt.count(values[0]) * longer) > TYPED_MAX:
                raise InvalidRequest("prompt", "prompt.long", value=length, max=TYPED_MAX)
        # As AUTOMATIC1111's "Prompt S/R".
        searched = [(value, prompt.replace(values[0], value)) for value in values]
        return _plain(PROMPT, searched)
    found = [(label or "–", text) for label, text in labelled_variants(prompt)]
    if len(found) == 1:
        raise InvalidRequest("values", "compare.no_variants", example="{red|blue}")
    return _plain(PROMPT, found)


_SIDES: Final[dict[str, Callable[[str, Place], Side]]] = {
    MODEL: _models,
    LORA: _loras,
    WEIGHT: _weights,
    STEPS: _steps,
    GUIDANCE: _guidance,
    SCHEDULER: _schedulers,
    SIZE: _sizes,
    SEED_AXIS: _seeds,
    PROMPT: _prompts,
}
