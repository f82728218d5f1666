"""What a preset sets and the model does not take is left out with a note: only what was typed is
refused."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from bot.errors import InvalidRequest, Refused, UserError
from bot.progress import Notice
from bot.request.applying import Applied
from bot.request.dialects.samplers import find_scheduler
from bot.request.offers import find_adapter
from bot.request.syntax import AdapterAsk, parse_size
from catalog import SCHEDULERS, Catalog, ModelEntry
from catalog.families import FAMILIES, Family

Resolved = TypeVar("Resolved")

_OF_THE_MODEL: Final = frozenset(
    (
        *("number.range", "size.side", "size.pixels", "hires.size", "hires.without"),
        *("scheduler.prediction", "scheduler.zero_snr", "scheduler.unknown", "scheduler.unlike"),
        *("preset.missing", "preset.nowhere", "preset.adapter", "preset.steps", "preset.scheduler"),
    )
)
"""What is wrong with a value for the sake of the model; another may take it."""
KEPT: Final = ("hires.kept", "detail.kept")
"""What does not go with an image of which a part is kept, whatever the model."""
OF_HIRES: Final = frozenset(("hires", "hires_strength", "hires_steps"))
_NAMED: Final = {
    "presets.left_out.option": "`{option}`",
    "presets.left_out.value": "`{option}` ({value})",
    "presets.left_out.lora": "`lora` ({name})",
}
"""Note on what was left out of a preset → how one sentence about all of it names that."""
_MISFITS: Final = frozenset(("lora.misfit", "lora.other_model", "lora.other_base"))


def without_misfits(
    applied: Applied, resolve: Callable[[Applied], Resolved], model_of: Callable[[Resolved], str]
) -> tuple[Resolved, tuple[Notice, ...]]:
    """What `resolve` makes of `applied`, without the options of its presets that it refuses.

    model_of: the key of the model in that. Raises what `resolve` raises about anything else.
    """
    left_out: list[tuple[str, object, UserError]] = []
    while True:
        try:
            resolved = resolve(applied)
        except UserError as error:
            option = error.field if isinstance(error, InvalidRequest) else "preset"
            value = getattr(applied.draft, option, None)
            known = error.code in (*_OF_THE_MODEL, *KEPT) or _is_of_the_family(error)
            if not known or option not in applied.filled:
                raise
            if not _some_model_takes(option, value):
                raise
            left_out.append((option, value, error))
            options = OF_HIRES if option == "hires" and error.code in KEPT else {option}
            nothing: dict[str, Any] = dict.fromkeys(options & applied.filled)
            without = replace(applied.draft, **nothing)
            applied = replace(applied, draft=without, filled=applied.filled - options)
        else:
            model = model_of(resolved)
            return resolved, tuple(_left_out(*each, model) for each in left_out)


def fitting(
    asks: Sequence[AdapterAsk],
    model: ModelEntry,
    catalog: Catalog,
    *,
    nsfw: bool,
    but: Collection[AdapterAsk] = (),
) -> tuple[tuple[AdapterAsk, ...], tuple[Notice, ...]]:
    """The LoRAs of a preset that fit the model, without weights that it does not take.

    but: those that were typed, which stay whether they fit or not.
    """
    fit: list[AdapterAsk] = []
    notes: list[Notice] = []
    for ask in asks:
        if ask in but:
            fit.append(ask)
            continue
        try:
            key = find_adapter(catalog, ask.name, model=model, nsfw=nsfw).key
        except Refused as error:
            if error.code not in _MISFITS:
                raise
            notes.append(_note("presets.left_out.lora", model, name=str(error.params["name"])))
            continue
        if ask.text_weight not in {None, ask.weight} and not model.family.adapts_text:
            notes.append(_note("presets.left_out.text_weight", model, name=key))
            ask = replace(ask, text_weight=None)
        fit.append(ask)
    return tuple(fit), tuple(notes)


def without_negative(model: ModelEntry) -> Notice:
    """The note that the negative prompt of a preset is left out."""
    return _note("presets.left_out.option", model, option="negative")


def in_one_sentence(notes: Sequence[Notice]) -> tuple[Notice, ...]:
    """`notes` with one instead of those that say what one model does not take of a preset."""
    about = [note for note in notes if note.code in _NAMED]
    if len(about) < 2:
        return (*notes,)
    named = tuple(_NAMED[note.code].format(**note.params) for note in about)
    model = about[0].params["model"]
    whole = Notice("presets.left_out.several", {"options": named, "model": model})
    at = notes.index(about[0])
    rest = [note for note in notes if note.code not in _NAMED]
    return (*rest[:at], whole, *rest[at:])


def _some_model_takes(option: str, value: Any) -> bool:
    """Whether a model of any family may take it; else it is a mistake in the preset."""
    variants = [variant for family in FAMILIES.values() for variant in family.variants]
    match option:
        case "steps":
            return any(each.steps.min <= value <= each.steps.max for each in variants)
        case "guidance":
            return any(each.guidance.min <= value <= each.guidance.max for each in variants)
        case "clip_skip":
            layers = [family.clip_skip for family in FAMILIES.values()]
            return any(each.min <= value <= each.max for each in layers if each)
        case "size":
            return any(_is_size_of(family, value) for family in FAMILIES.values())
        case "scheduler":
            with suppress(InvalidRequest):
                return find_scheduler(value, SCHEDULERS) in SCHEDULERS
            return False
        case _:
            return option in {"preset", "detail", "tile", *OF_HIRES}


def _is_of_the_family(error: UserError) -> bool:
    """Whether it says that models of a family do not take an option at all."""
    return error.code.startswith("family.")


def _is_size_of(family: Family, text: str) -> bool:
    sides = parse_size(text, family.size, family)
    return all(family.min_side <= side <= family.max_side for side in sides)


def _left_out(option: str, value: object, error: UserError, model: str) -> Notice:
    if _is_of_the_family(error):
        return Notice("presets.left_out.option", {"option": option, "model": model})
    if error.code in KEPT:
        return Notice("presets.left_out.kept", {"option": option})
    said = f"{value}"[:60]
    return Notice("presets.left_out.value", {"option": option, "value": said, "model": model})


def _note(code: str, model: ModelEntry, **params: str) -> Notice:
    return Notice(code, {**params, "model": model.key})
