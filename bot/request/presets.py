"""Presets: several options set at once, and how far a user may change each of them."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from bot.errors import InvalidRequest, Refused, UserError
from bot.request.model import DRAFT, FAST, PRESETS
from bot.request.offers import find_adapter
from bot.request.parts import AdapterUse
from catalog import AdapterEntry, Catalog, FloatRange, IntRange, ModelEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Defaults and limits for the options of a request.

    name: None if no preset was requested: everything is then the model's own.
    schedulers: those that may be chosen; empty means all.
    adapter: the distilled LoRA that it needs, in addition to the user's own.
    scale: of the sides, where no size is asked for.
    """

    name: str | None
    steps: IntRange
    guidance: FloatRange
    scheduler: str
    schedulers: tuple[str, ...] = ()
    spacing: str | None = None
    adapter: tuple[AdapterEntry, AdapterUse] | None = None
    scale: float = 1.0


def find_preset(name: str | None, model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Preset:
    """The preset of that name, ignoring case, with its values for `model`."""
    wanted = (name or "").strip().casefold()
    if not wanted:
        return Preset(
            name=None, steps=model.steps, guidance=model.guidance, scheduler=model.scheduler
        )
    if wanted == DRAFT:
        return _draft(model, catalog, nsfw=nsfw)
    if wanted == FAST:
        return _fast(model, catalog, nsfw=nsfw)
    raise InvalidRequest("preset", "preset.unknown", value=name or "", known=PRESETS)


def presets_of(model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> tuple[str, ...]:
    """The names of the presets that can be used with `model`."""
    found = []
    for name in PRESETS:
        with suppress(UserError):
            find_preset(name, model, catalog, nsfw=nsfw)
            found.append(name)
    return tuple(found)


def schedulers_of(
    preset: str | None, model: ModelEntry, catalog: Catalog, *, nsfw: bool
) -> tuple[str, ...]:
    """The schedulers that can be chosen with `model` and that preset, if it has it."""
    try:
        chosen = find_preset(preset, model, catalog, nsfw=nsfw).schedulers
    except UserError:
        chosen = ()
    return chosen or model.schedulers


def with_few_steps(
    preset: Preset, adapters: Iterable[AdapterEntry], model: ModelEntry, catalog: Catalog
) -> Preset:
    """The same; with as few steps as in "fast" where one of these LoRAs is distilled for that."""
    steps = preset.steps
    fixed = steps.min == steps.max
    if fixed or not any(catalog.quickens(entry.key) for entry in adapters):
        return preset
    least = min(steps.min, model.family.fast_steps[0])
    return replace(preset, steps=steps.model_copy(update={"min": least}))


def _draft(model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Preset:
    draft = model.draft
    if draft is None:
        raise _without(DRAFT, model, catalog, nsfw, lambda entry: entry.draft is not None)
    least, most = model.steps.min, model.steps.max
    steps = max(least, min(draft.steps, model.steps.default))
    if draft.spacing:  # its table has exactly so many
        steps = least = most = draft.steps
    return Preset(
        name=DRAFT,
        steps=IntRange(min=least, default=steps, max=most),
        guidance=model.guidance,
        scheduler=draft.schedulers[0] if draft.schedulers else model.scheduler,
        schedulers=draft.schedulers,
        spacing=draft.spacing,
        scale=draft.scale,
    )


def _fast(model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Preset:
    fast = model.fast
    if fast is None:
        raise _without(FAST, model, catalog, nsfw, lambda entry: entry.fast is not None)
    adapter = None
    if fast.adapter is not None:
        try:
            entry = find_adapter(catalog, fast.adapter, model=model, nsfw=nsfw)
        except UserError:
            # The user did not name this LoRA, so an error about it would be puzzling.
            needed = catalog.adapters.get(fast.adapter)
            if needed is not None and needed.nsfw and not nsfw:
                raise Refused("preset.nsfw", preset=FAST, model=model.key) from None
            if needed is None and catalog.withholds_adapter(fast.adapter):
                raise Refused("preset.not_here", preset=FAST, model=model.key) from None
            raise Refused(
                "preset.adapter", preset=FAST, model=model.key, name=fast.adapter
            ) from None
        adapter = (entry, AdapterUse(entry.key, fast.weight))
    low, high = model.family.fast_steps
    least, most = model.family.fast_guidance
    return Preset(
        name=FAST,
        steps=IntRange(min=low, default=fast.steps, max=high),
        guidance=FloatRange(min=least, default=fast.guidance, max=most),
        scheduler=fast.scheduler,
        adapter=adapter,
    )


def _without(
    preset: str, model: ModelEntry, catalog: Catalog, nsfw: bool, has: Callable[[ModelEntry], bool]
) -> Refused:
    """The error that `model` has no such preset, with the models that have it."""
    having = [entry.key for entry in catalog.offered_models(nsfw=nsfw) if has(entry)]
    if not having:
        return Refused("preset.nowhere", preset=preset)
    return Refused("preset.missing", preset=preset, model=model.key, models=tuple(having))
