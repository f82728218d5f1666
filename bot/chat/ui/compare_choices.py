"""Autocomplete choices for the values of an axis."""

from collections.abc import Sequence
from contextlib import suppress

from discord.app_commands import Choice

from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX, scheduler_choices
from bot.errors import UserError
from bot.request import Draft, Named, default_model, find_model, usual_values
from bot.request.axes import LORA, MODEL, OFF, ON, SCHEDULER, SIZE
from bot.request.presets import schedulers_of
from bot.request.syntax import usual_sizes
from catalog import Catalog, ModelEntry


def value_choices(
    axis: str,
    text: str,
    draft: Draft,
    catalog: Catalog,
    *,
    nsfw: bool,
    saved: Sequence[Named] = (),
) -> list[Choice[str]]:
    """The usual values in one choice; then what may follow the values typed so far.

    draft: what the other options say. saved: see `compose`. A choice of more than 100 characters,
    Discord's limit, is left out.
    """
    usual = () if text.strip() else usual_values(draft, axis, catalog, nsfw=nsfw, saved=saved)
    found = [", ".join(usual)]
    if text.strip() and text.strip() not in found:
        found.append(text.strip())
    head, comma, last = text.rpartition(",")
    kept = f"{head.strip()}, " if comma and head.strip() else ""
    taken = {part.strip().casefold() for part in head.split(",")}
    following = _following(axis, last.strip(), draft, catalog, nsfw=nsfw)
    found += [f"{kept}{value}" for value in following if value.casefold() not in taken]
    fitting = [value for value in dict.fromkeys(found) if 0 < len(value) <= CHOICE_LENGTH]
    return [Choice(name=value, value=value) for value in fitting[:CHOICES_MAX]]


def _following(
    axis: str, last: str, draft: Draft, catalog: Catalog, *, nsfw: bool
) -> tuple[str, ...]:
    """Single values that begin or contain what was typed last."""
    model = _model(draft, catalog, nsfw=nsfw)
    if axis == MODEL:
        models = catalog.search_models(last, nsfw=nsfw, limit=CHOICES_MAX)
        return tuple(entry.key for entry in models)
    if axis == LORA:
        key = model.key if model else None
        found = catalog.search_adapters(
            last, nsfw=nsfw, model=key, exclude=set(), limit=CHOICES_MAX
        )
        words = (word for word in (OFF, ON) if word.startswith(last.casefold()))
        return (*words, *(entry.key for entry in found))
    if model is None:
        return ()
    if axis == SCHEDULER:
        allowed = schedulers_of(draft.preset, model, catalog, nsfw=nsfw)
        return tuple(choice.value for choice in scheduler_choices(last, allowed))
    if axis == SIZE:
        sizes = (f"{width}x{height}" for width, height in usual_sizes(model))
        return tuple(size for size in sizes if last in size)
    return ()


def _model(draft: Draft, catalog: Catalog, *, nsfw: bool) -> ModelEntry | None:
    with suppress(UserError):
        return find_model(catalog, draft.model or default_model(catalog, nsfw=nsfw), nsfw=nsfw)
    return None
