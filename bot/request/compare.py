"""Turn a draft and one or two axes into a comparison, with every cell composed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod

from bot.errors import InvalidRequest, UserError
from bot.request.applying import Applied, apply_presets
from bot.request.axes import LORA, MODEL, PROMPT, AxisAsk, Change, Place, axis_named, side_of
from bot.request.cells import CELLS_MAX, cells
from bot.request.compose import (
    ADAPTERS_MAX,
    NO_HASHES,
    Composed,
    Fill,
    by_hash,
    compose_applied,
    draw_seed,
)
from bot.request.draft import Draft
from bot.request.hashes import Hashes
from bot.request.model import Comparison, GenerationRequest
from bot.request.offers import default_model, find_model
from bot.request.options import Named
from bot.request.parts import RANDOM, SEED_AXIS, Axis
from bot.request.presets import find_preset
from bot.request.redraft import redraft
from bot.request.syntax import extract_tags
from bot.request.variation import parse_variation, variation_text
from catalog import Catalog


def compare(
    draft: Draft,
    asks: Sequence[AxisAsk],
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    hashes: Hashes = NO_HASHES,
    saved: Sequence[Named] = (),
    draw: Callable[[], int] = draw_seed,
    fill: Fill | None = None,
) -> Composed:
    """The request for a sheet: `draft` with one value of each axis in every cell.

    Each cell is what `compose` makes of the draft with these values, so its image has the bytes
    that /imagine would give. The seed is drawn once, for all. asks: the columns, then the rows.
    nsfw, adapters_max, hashes, saved, fill: see `compose`. The notes are those of all cells, each
    once. Raises InvalidRequest or Refused.
    """
    applied = apply_presets(draft, catalog, saved, nsfw=nsfw)
    draft = applied.draft
    seed = draw() if draft.seed is None or draft.seed == RANDOM else draft.seed
    mixes = parse_variation(draft.variation or "", draw)
    # A seed that is only drawn was set by nobody; what an axis sets was asked for.
    unset = applied.filled | {SEED_AXIS} if draft.seed is None else applied.filled - {SEED_AXIS}
    filled = unset - {ask.name.strip().casefold() for ask in asks}
    draft = replace(draft, seed=seed, variation=variation_text(mixes) or None, count=None)
    applied = replace(applied, draft=draft, filled=filled)
    composed = partial(
        _cell,
        applied,
        catalog,
        nsfw=nsfw,
        adapters_max=adapters_max,
        hashes=hashes,
        fill=fill,
        draw=lambda: seed,
    )
    place = _place(applied, catalog, composed, nsfw=nsfw, hashes=hashes)
    sides = [side_of(ask, place) for ask in asks]
    _check_axes([side.axis for side in sides])
    columns, rows = sides[0], sides[1] if len(sides) > 1 else None
    drafts = [
        _applied(draft, ((columns.axis, across), *down))
        for down in ([((rows.axis, change),) for change in rows.changes] if rows else [()])
        for across in columns.changes
    ]
    done = [composed(cell) for cell in drafts]
    comparison = Comparison(
        tuple(side.axis for side in sides), tuple(cell.request for cell in done)
    )
    shown = comparison.cells[0]
    if any(side.axis.name == PROMPT for side in sides):
        shown = replace(shown, prompt=extract_tags(draft.prompt)[0])
    request = replace(shown, comparison=comparison)
    _check_different(request)
    every = (note for cell in done for note in cell.notes)
    once = {(note.code, *note.params.values()): note for note in every}
    return Composed(request, tuple(once.values()))


def usual_values(
    draft: Draft, axis: str, catalog: Catalog, *, nsfw: bool, saved: Sequence[Named] = ()
) -> tuple[str, ...]:
    """The values that the axis has if none are given; none where there is an error in the draft."""
    with suppress(UserError):
        draft = replace(draft, seed=draft.seed or 0, prompt=draft.prompt or "…")
        applied = apply_presets(draft, catalog, saved, nsfw=nsfw)
        composed = partial(_cell, applied, catalog, nsfw=nsfw, adapters_max=ADAPTERS_MAX)
        place = _place(applied, catalog, composed, nsfw=nsfw)
        return side_of(AxisAsk(axis), place).axis.values
    return ()


def _cell(
    applied: Applied,
    catalog: Catalog,
    draft: Draft,
    *,
    nsfw: bool,
    adapters_max: int,
    hashes: Hashes = NO_HASHES,
    fill: Fill | None = None,
    draw: Callable[[], int] = draw_seed,
) -> Composed:
    applied = replace(applied, draft=draft)
    return compose_applied(
        applied,
        catalog,
        nsfw=nsfw,
        adapters_max=adapters_max,
        hashes=hashes,
        fill=fill,
        draw=draw,
    )


def _place(
    applied: Applied,
    catalog: Catalog,
    composed: Callable[[Draft], Composed],
    *,
    nsfw: bool,
    hashes: Hashes = NO_HASHES,
) -> Place:
    draft = applied.draft
    named = by_hash(draft.model, hashes, catalog, nsfw=nsfw)
    model = find_model(catalog, named or default_model(catalog, nsfw=nsfw), nsfw=nsfw)
    try:
        preset = find_preset(draft.preset, model, catalog, nsfw=nsfw)
    except UserError:
        if "preset" not in applied.filled:
            raise
        preset = find_preset(None, model, catalog, nsfw=nsfw)

    def compose(draft: Draft) -> GenerationRequest:
        return composed(draft).request

    return Place(draft, catalog, nsfw, model, preset, compose, hashes)


def compare_again(
    request: GenerationRequest,
    asks: Sequence[AxisAsk],
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int = ADAPTERS_MAX,
    hashes: Hashes = NO_HASHES,
    n: int = 0,
) -> Composed:
    """A comparison around the image `n` of an earlier request, with its seed.

    Where the model varies, what was usual for the earlier one is usual for each. A cell of a
    comparison is compared like any image: pass its own request. Raises as `compare` does.
    """
    vary = {axis_named(ask.name) for ask in asks}
    draft = redraft(
        request,
        catalog,
        nsfw=nsfw,
        n=n,
        usual_left_out=MODEL in vary,
        drawn=PROMPT not in vary,
    )
    if not vary.isdisjoint((LORA, PROMPT)):
        draft = replace(draft, complete=False)  # the prompts are no longer those of then
    # What could be combined then may be combined now.
    most = max(adapters_max, len(draft.adapters))
    return compare(draft, asks, catalog, nsfw=nsfw, adapters_max=most, hashes=hashes)


def _applied(draft: Draft, changes: Sequence[tuple[Axis, Change]]) -> Draft:
    """The prompt changes first: its tags may name LoRAs that the other axis is about."""
    for _, change in sorted(changes, key=lambda pair: pair[0].name != PROMPT):
        draft = change(draft)
    return draft


def _check_axes(axes: Sequence[Axis]) -> None:
    if len({(axis.name, axis.subject) for axis in axes}) < len(axes):
        raise InvalidRequest("axis2", "compare.same_axis", value=axes[0].name)
    count = prod(len(axis.values) for axis in axes)
    if count > CELLS_MAX:
        raise InvalidRequest("values", "compare.many", value=count, max=CELLS_MAX)
    for axis in axes:
        for number, value in enumerate(axis.values):
            if value in axis.values[:number]:
                raise InvalidRequest("values", "compare.twice", value=value)
        if len(axis.values) < 2:
            raise InvalidRequest("values", "compare.few", axis=axis.name)


def _check_different(request: GenerationRequest) -> None:
    """Raise InvalidRequest if two cells are the same, as an axis without effect would make them."""
    seen: dict[GenerationRequest, str] = {}
    for cell in cells(request):
        said = " · ".join(cell.values)
        if (before := seen.setdefault(cell.request, said)) != said:
            raise InvalidRequest("values", "compare.same_cells", value=said, other=before)
