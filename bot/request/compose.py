"""Turn what a user typed into a GenerationRequest with everything resolved and validated."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from bot.errors import InvalidRequest, UserError
from bot.progress import Notice
from bot.request import pictures
from bot.request.applying import Applied, apply_presets
from bot.request.controlling import controls
from bot.request.detailing import details
from bot.request.dialects import understand
from bot.request.dialects.plain import advisable, read_as_words
from bot.request.dialects.samplers import find_scheduler
from bot.request.draft import Draft
from bot.request.drawing import Typed, check_tags_outside, check_texts, worded
from bot.request.dynamic import Place
from bot.request.filling import fill as put_in
from bot.request.filling import has_place
from bot.request.hashes import Hashes, key_of
from bot.request.masked_area import area
from bot.request.model import GenerationRequest
from bot.request.offers import find_adapter, find_model, usual_model
from bot.request.options import Named
from bot.request.parts import RANDOM, SEED_MAX, AdapterUse
from bot.request.pictures import within
from bot.request.presets import Preset, find_preset, with_few_steps
from bot.request.shaping import scaled_note, shaped
from bot.request.syntax import AdapterAsk, extract_tags, parse_adapters
from bot.request.unicode_text import storable, straight
from bot.request.untyped import fitting, in_one_sentence, without_misfits, without_negative
from bot.request.variation import Variation, parse_variation
from catalog import WEIGHT_MAX, WEIGHT_MIN, AdapterEntry, Catalog, ModelEntry

Chosen = tuple[AdapterEntry, AdapterUse]

COUNT_MAX: Final = 4
Fill: TypeAlias = Callable[[Draft], Draft]
"""Puts values where a draft says nothing."""
NO_HASHES: Final[Hashes] = MappingProxyType({})
ADAPTERS_MAX: Final = 4


def draw_seed() -> int:
    return secrets.randbelow(SEED_MAX + 1)


@dataclass(frozen=True, slots=True)
class Composed:
    """notes: what of the prompt was understood in another way than it may have been meant."""

    request: GenerationRequest
    notes: tuple[Notice, ...] = ()


def compose(
    draft: Draft,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    saved: Sequence[Named] = (),
    draw: Callable[[], int] = draw_seed,
    fill: Fill | None = None,
) -> GenerationRequest:
    """As `compose_with_notes`, without the notes."""
    return compose_with_notes(
        draft, catalog, nsfw=nsfw, adapters_max=adapters_max, saved=saved, draw=draw, fill=fill
    ).request


def compose_with_notes(
    draft: Draft,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    hashes: Hashes = NO_HASHES,
    saved: Sequence[Named] = (),
    draw: Callable[[], int] = draw_seed,
    fill: Fill | None = None,
) -> Composed:
    """Resolve and validate `draft`, whose prompts may be in the dialect of another program.

    nsfw: whether entries marked NSFW may be used where the result will be posted.
    adapters_max: how many LoRAs a user may combine, not counting one that a preset needs.
    hashes: models may be named by theirs. saved: what else `draft.preset` may name besides the
    presets of the models and the styles of the catalog; of two with one name, the first counts.
    fill: puts a person's defaults where nothing was given, unless that is another image's
    generation data; where the result is in error, it is not used.
    Raises InvalidRequest (a field's value is invalid) or Refused (a model, LoRA or embedding is not
    offered).
    """
    applied = apply_presets(draft, catalog, saved, nsfw=nsfw)
    return compose_applied(
        applied,
        catalog,
        nsfw=nsfw,
        adapters_max=adapters_max,
        hashes=hashes,
        draw=draw,
        fill=fill,
    )


def compose_applied(
    applied: Applied,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    hashes: Hashes = NO_HASHES,
    draw: Callable[[], int] = draw_seed,
    fill: Fill | None = None,
) -> Composed:
    """As `compose_with_notes`, for a draft to which its presets have been applied."""
    draft = applied.draft

    def changed(options: Mapping[str, Any]) -> Applied:
        adapters = (*options.get("adapters", ()), *draft.adapters)
        changed = replace(draft, **{**options, "adapters": adapters})
        changed = replace(changed, model=by_hash(changed.model, hashes, catalog, nsfw=nsfw))
        return replace(applied, draft=changed, filled=applied.filled - options.keys())

    def resolve(applied: Applied) -> Composed:
        resolved, notes = without_misfits(
            applied,
            lambda applied: _resolve(
                applied, catalog, nsfw=nsfw, adapters_max=adapters_max, draw=draw
            ),
            lambda resolved: resolved.request.model,
        )
        return replace(resolved, notes=in_one_sentence((*notes, *resolved.notes)))

    def attempt(options: Mapping[str, Any]) -> GenerationRequest:
        return resolve(changed(options)).request

    given = {own.name for own in fields(draft) if getattr(draft, own.name) not in (None, ())}
    negative = None if draft.negative is None else _clean(draft.negative)
    # What a preset says is the least of all: what the prompt itself asks for counts for more.
    understood = understand(_clean(draft.prompt), negative, given - applied.filled, attempt, hashes)
    notes = (*applied.notes, *understood.notes)

    def noted(composed: Composed) -> Composed:
        request = composed.request
        about_forms = advisable(notes, catalog.models[request.model])
        own = (*about_forms, *composed.notes, *read_as_words(request, catalog))
        return replace(composed, notes=own)

    if fill is not None and not understood.pasted:
        before = changed(understood.options)
        usual = fill(before.draft)
        if before.draft.negative is None and _replaces_negative(applied):
            usual = replace(usual, negative=None)
        with suppress(UserError):
            return noted(resolve(replace(before, draft=usual)))
    return noted(resolve(changed(understood.options)))


def by_hash(name: str | None, hashes: Hashes, catalog: Catalog, *, nsfw: bool) -> str | None:
    """The key of the model whose file has the hash `name`, or else that name.

    One that is not for this channel has no hash.
    """
    if not name or catalog.models_called(name):
        return name
    model = catalog.models.get(key_of(name, hashes) or "")
    return model.key if model is not None and (nsfw or not model.nsfw) else name


def _resolve(
    applied: Applied,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int,
    draw: Callable[[], int],
) -> Composed:
    draft = applied.draft
    notes: list[Notice] = []
    typed = _prompt(applied)
    check_tags_outside(typed)
    prompt, tagged = extract_tags(typed)
    negative = _clean(draft.negative) if draft.negative is not None else None
    check_texts(prompt, negative or "")

    name = draft.model or usual_model(catalog, nsfw=nsfw, edits=bool(draft.pictures))
    model = find_model(catalog, name, nsfw=nsfw)
    if model.takes_negative:
        negative = _negative(negative, applied, model)
    elif any(each.negative for each in applied.texts):
        notes.append(without_negative(model))
    _check_options(replace(draft, negative=negative), model)
    preset = find_preset(draft.preset, model, catalog, nsfw=nsfw)
    own = extract_tags(_clean(draft.prompt))[1]
    tagged, left_out = fitting(tagged, model, catalog, nsfw=nsfw, but=own)
    notes += left_out
    listed = parse_adapters(draft.lora or "", catalog.adapters_called)
    if "lora" in applied.filled:
        listed = _unless_tagged(listed, tagged, catalog)
        listed, left_out = fitting(listed, model, catalog, nsfw=nsfw)
        notes += left_out
    asks = (*tagged, *listed, *draft.adapters)
    adapters = _adapters(asks, catalog, model=model, nsfw=nsfw, most=adapters_max)
    if preset.adapter is not None and preset.adapter[0].key not in {e.key for e, _ in adapters}:
        adapters.append(preset.adapter)
    preset = with_few_steps(preset, (entry for entry, _ in adapters), model, catalog)
    draft = replace(draft, extend=_clean(draft.extend or ""))
    shape = shaped(draft, model, preset.scale)
    if (note := scaled_note(draft, shape)) is not None:
        notes.append(note)
    steps = _steps(draft.steps, preset)
    seed = draw() if draft.seed in (None, RANDOM) else within("seed", draft.seed, 0, 0, SEED_MAX)
    *before, last = parse_variation(draft.variation or "", draw) or (None,)
    request = GenerationRequest(
        prompt=prompt,
        negative=model.default_negative if negative is None else negative,
        model=model.key,
        adapters=tuple(use for _, use in adapters),
        steps=steps,
        guidance=within(
            "guidance",
            draft.guidance,
            preset.guidance.default,
            preset.guidance.min,
            preset.guidance.max,
        ),
        seed=last.seed if last else seed,
        width=shape.width,
        height=shape.height,
        count=within("count", draft.count, 1, 1, COUNT_MAX),
        scheduler=_scheduler(draft.scheduler, preset, model),
        clip_skip=_clip_skip(draft.clip_skip, model),
        preset=preset.name,
        spacing=preset.spacing,
        hires=pictures.hires(
            draft.hires,
            steps,
            draft.hires_strength,
            draft.hires_steps,
            preset.steps.max,
            model.family.pixel_step,
        ),
        init_image=pictures.init_image(
            draft.image, draft.strength, draft.mask, shape.box, area(draft)
        ),
        reference=pictures.reference(draft.reference, draft.reference_weight, catalog, model.key),
        pictures=pictures.edited(draft.pictures, model, catalog, nsfw=nsfw),
        variation=Variation(seed, last.strength, (*before,)) if last else None,
        controls=controls(draft, catalog, model, nsfw=nsfw),
        detail=details(draft, catalog, model),
        tile=bool(draft.tile),
    )
    pictures.check_kept(request)
    pictures.check_final_size(request, model.family)
    drawn = Typed(prompt, negative).drawn(request, Place(catalog.wildcards, nsfw))
    complete = draft.complete and "lora" not in applied.filled
    request = worded(drawn, catalog, model=model, nsfw=nsfw, complete=complete)
    return Composed(request, tuple(notes))


def _prompt(applied: Applied) -> str:
    """What was typed, within the words of the presets."""
    prompt = _clean(applied.draft.prompt)
    for texts in applied.texts:
        if texts.prompt is not None:
            prompt = put_in(_clean(texts.prompt), prompt)
    return prompt


def _negative(typed: str | None, applied: Applied, model: ModelEntry) -> str | None:
    """What was typed, or what the presets have in its place; None for the model's own."""
    negative = typed
    for text in (_clean(each.negative) for each in applied.texts if each.negative is not None):
        if has_place(text):
            negative = put_in(text, model.default_negative if negative is None else negative)
        elif negative is None:
            negative = text
    return negative


def _replaces_negative(applied: Applied) -> bool:
    """Whether a preset has a negative prompt of its own, which counts for more than a default."""
    texts = (each.negative for each in applied.texts)
    return any(text is not None and not has_place(text) for text in texts)


def _unless_tagged(
    listed: Sequence[AdapterAsk], tagged: Sequence[AdapterAsk], catalog: Catalog
) -> tuple[AdapterAsk, ...]:
    """The LoRAs of a preset without those that the prompt itself names."""
    named = {key for ask in tagged for key in catalog.adapters_called(ask.name)}
    return tuple(ask for ask in listed if named.isdisjoint(catalog.adapters_called(ask.name)))


def _check_options(draft: Draft, model: ModelEntry) -> None:
    """Raise InvalidRequest if an option does not apply to models of this family."""
    for name in model.lacks:
        given = getattr(draft, name) or (name == "control" and draft.control_images)
        # What an earlier request says without having been asked for is no choice.
        if given and (name != "guidance" or given != model.guidance.default):
            code = "edits" if name == "reference" and model.pictures_max else name
            raise InvalidRequest(name, f"family.{code}", model=model.key, family=model.family.name)


def _steps(asked: int | None, preset: Preset) -> int:
    bounds = preset.steps
    if asked is not None and preset.name and bounds.min == bounds.max != asked:
        raise InvalidRequest(
            "steps", "preset.steps", value=asked, preset=preset.name, steps=bounds.default
        )
    return within("steps", asked, bounds.default, bounds.min, bounds.max)


def _clip_skip(asked: int | None, model: ModelEntry) -> int | None:
    layers = model.family.clip_skip
    # In AUTOMATIC1111, 1 leaves SDXL the layer that it was trained with.
    if asked is None or layers is None or asked == 1 < layers.min:
        return model.clip_skip
    return within("clip_skip", asked, layers.default, layers.min, layers.max)


def _scheduler(asked: str | None, preset: Preset, model: ModelEntry) -> str:
    if asked is None or not asked.strip():
        return preset.scheduler
    scheduler = find_scheduler(asked, model.family.schedulers)
    if scheduler not in model.schedulers and model.from_noise:
        raise InvalidRequest(
            "scheduler", "scheduler.zero_snr", scheduler=scheduler, allowed=model.schedulers
        )
    if scheduler not in model.schedulers:
        raise InvalidRequest(
            "scheduler",
            "scheduler.prediction",
            scheduler=scheduler,
            prediction=model.prediction or "",
            allowed=model.schedulers,
        )
    if preset.schedulers and scheduler not in preset.schedulers:
        raise InvalidRequest(
            "scheduler",
            "preset.scheduler",
            value=scheduler,
            preset=preset.name or "",
            allowed=preset.schedulers,
        )
    return scheduler


def _adapters(
    asks: Sequence[AdapterAsk], catalog: Catalog, *, model: ModelEntry, nsfw: bool, most: int
) -> list[Chosen]:
    if len(asks) > most:
        raise InvalidRequest("lora", "lora.many", value=len(asks), max=most)
    for ask, following in pairwise(asks):
        # A decimal comma with a blank after it: 0, 6.
        digits = following.name.isdecimal() and not catalog.adapters_called(following.name)
        if ask.weight is not None and digits:
            value = f"{ask.weight:g},{following.name}"
            raise InvalidRequest("lora", "lora.bad_weight", name=ask.name, value=value)
    chosen: dict[str, Chosen] = {}
    for ask in asks:
        entry = find_adapter(catalog, ask.name, model=model, nsfw=nsfw)
        if entry.key in chosen:
            raise InvalidRequest("lora", "lora.twice", value=entry.key)
        weight = entry.default_weight if ask.weight is None else ask.weight
        text_weight = None if ask.text_weight == weight else ask.text_weight
        if text_weight is not None and not model.family.adapts_text:
            raise InvalidRequest(
                "lora",
                "family.text_weight",
                name=entry.key,
                model=model.key,
                family=model.family.name,
            )
        for number in (weight, 0.0 if text_weight is None else text_weight):
            if not WEIGHT_MIN <= number <= WEIGHT_MAX:
                raise InvalidRequest(
                    "lora",
                    "lora.weight",
                    name=entry.key,
                    value=number,
                    min=WEIGHT_MIN,
                    max=WEIGHT_MAX,
                )
        chosen[entry.key] = (entry, AdapterUse(entry.key, weight, text_weight))
    return list(chosen.values())


def _clean(text: str) -> str:
    return straight(storable(text)).strip()
