"""Presets: what a few words set at once, and how far a person may turn each of it."""

from dataclasses import dataclass
from typing import Final

from bot.errors import InvalidRequest, Refused, UserError
from bot.request.model import AYS, DRAFT, FAST, PRESETS, AdapterUse
from bot.request.offers import find_adapter
from catalog import (
    FAST_GUIDANCE,
    FAST_STEPS,
    AdapterEntry,
    Catalog,
    FloatRange,
    IntRange,
    ModelEntry,
)

AYS_STEPS: Final = 10
AYS_SCHEDULERS: Final = ("DPM++ 2M", "DPM++ 2M SDE", "Euler")
"""Those that take timesteps from outside; with Karras' spacing a scheduler makes its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is painted with where the person says nothing else, and the bounds of what they say.

    name: None where no preset was asked for: all of it is then the model's own.
    schedulers: which may be chosen; empty means every one.
    adapter: the distilled LoRA that it needs, beside the person's own.
    """

    name: str | None
    steps: IntRange
    guidance: FloatRange
    scheduler: str
    schedulers: tuple[str, ...] = ()
    spacing: str | None = None
    adapter: tuple[AdapterEntry, AdapterUse] | None = None


def find_preset(name: str | None, model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Preset:
    """The preset of that name, in any case, as it is for `model`."""
    wanted = (name or "").strip().casefold()
    if not wanted:
        return Preset(
            name=None, steps=model.steps, guidance=model.guidance, scheduler=model.scheduler
        )
    if wanted == DRAFT:
        return Preset(
            name=DRAFT,
            # The table has ten steps, no more and no fewer.
            steps=IntRange(min=AYS_STEPS, default=AYS_STEPS, max=AYS_STEPS),
            guidance=model.guidance,
            scheduler=AYS_SCHEDULERS[0],
            schedulers=AYS_SCHEDULERS,
            spacing=AYS,
        )
    if wanted == FAST:
        return _fast(model, catalog, nsfw=nsfw)
    raise InvalidRequest("preset", "preset.unknown", value=name or "", known=PRESETS)


def _fast(model: ModelEntry, catalog: Catalog, *, nsfw: bool) -> Preset:
    fast = model.fast
    if fast is None:
        having = [entry.key for entry in catalog.offered_models(nsfw=nsfw) if entry.fast]
        if not having:
            raise Refused("preset.nowhere", preset=FAST)
        raise Refused("preset.missing", preset=FAST, model=model.key, models=tuple(having))
    adapter = None
    if fast.adapter is not None:
        try:
            entry = find_adapter(catalog, fast.adapter, model=model, nsfw=nsfw)
        except UserError:
            # The person did not name it, so its own sentence would puzzle them.
            raise Refused(
                "preset.adapter", preset=FAST, model=model.key, name=fast.adapter
            ) from None
        adapter = (entry, AdapterUse(entry.key, fast.weight))
    low, high = FAST_STEPS
    least, most = FAST_GUIDANCE
    return Preset(
        name=FAST,
        steps=IntRange(min=low, default=fast.steps, max=high),
        guidance=FloatRange(min=least, default=fast.guidance, max=most),
        scheduler=fast.scheduler,
        adapter=adapter,
    )
