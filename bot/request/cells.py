"""The cells of a comparison: where each is on the sheet, and in which order they are generated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bot.request.model import GenerationRequest

CELLS_MAX: Final = 16

Loaded: TypeAlias = tuple[str, tuple[str, ...]]
"""A model's key, and its LoRAs with their weights."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One image of a comparison.

    n: its number on the sheet, counted from 0, row by row; it is the `n` of its image as well.
    values: what varies, in the order of the axes: the column's value, then the row's.
    request: exactly what `/imagine` would make of these values, for one image.
    """

    n: int
    column: int
    row: int
    values: tuple[str, ...]
    request: GenerationRequest


def cells(request: GenerationRequest) -> tuple[Cell, ...]:
    """The cells of a comparison, row by row; none if `request` is not one."""
    comparison = request.comparison
    if comparison is None:
        return ()
    columns = comparison.columns
    return tuple(
        Cell(
            n,
            n % columns,
            n // columns,
            tuple(
                axis.values[at]
                for axis, at in zip(comparison.axes, (n % columns, n // columns), strict=False)
            ),
            cell,
        )
        for n, cell in enumerate(comparison.cells)
    )


def needed(request: GenerationRequest) -> Loaded:
    """What has to be loaded for one image."""
    return request.model, tuple(map(str, request.adapters))


def paint_order(
    requests: Sequence[GenerationRequest], loaded: Loaded | None = None
) -> tuple[int, ...]:
    """The indices of `requests` in an order that changes models, and then LoRAs, least often.

    loaded: what is in place before the first. Equals stay in their order.
    """
    wanted = [needed(request) for request in requests]
    first = {what: n for n, what in reversed([*enumerate(wanted)])}
    model_first = {what[0]: n for n, what in reversed([*enumerate(wanted)])}

    def key(n: int) -> tuple[bool, int, bool, int, int]:
        what = wanted[n]
        elsewhere = loaded is None or what[0] != loaded[0]
        return elsewhere, model_first[what[0]], what != loaded, first[what], n

    return tuple(sorted(range(len(requests)), key=key))
