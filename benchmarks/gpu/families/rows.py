"""Every row of a family, in the order of its worth: should time run out, the last are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.gpu.families import exactness, halves, memory, requests
from benchmarks.gpu.families.models import Model
from benchmarks.gpu.row import Measure, Row
from benchmarks.gpu.rows import START

MEASURES: Final[Mapping[str, Measure]] = {
    "request": requests.request,
    "bytes": exactness.exact,
    "memory": memory.memory,
    "float16": halves.finite,
    "beyond float16": halves.beyond,
}
"""By the kinds of rows."""
MEMORY: Final = "memory"
BEYOND: Final = "beyond float16"


@dataclass(frozen=True, slots=True)
class Planned:
    """Seconds on an H200. made: writing and hashing the files. load: from them into RAM and onto
    the device. kinds: of each kind of row, in the order of MEASURES, loading not included."""

    made: float
    load: float
    kinds: tuple[float, ...]


PLANNED: Final = {
    "flux2": Planned(26, 8, (10, 18, 18, 14, 5)),
    "zimage": Planned(36, 12, (18, 22, 28, 18, 6)),
    "anima": Planned(9, 5, (18, 10, 13, 8, 5)),
    "sd15": Planned(4, 2, (7, 7, 8, 4, 0)),
}


def rows_of(model: Model, kinds: Iterable[str] = tuple(MEASURES)) -> tuple[Row, ...]:
    """The rows of these kinds. Caps are in a process of their own, which comes last."""
    plan = PLANNED[model.key]
    return tuple(
        Row(
            f"{model.key}: {kind}",
            measure,
            seconds + (START + plan.load if kind == MEMORY else 0.0),
            own_process=kind == MEMORY,
        )
        for (kind, measure), seconds in zip(MEASURES.items(), plan.kinds, strict=True)
        if kind in kinds and (model.swelling or kind != BEYOND)
    )


def planned(model: Model, rows: Iterable[Row]) -> float:
    """Seconds that `rows`, all of `model`, should take on an H200."""
    plan, rows = PLANNED[model.key], tuple(rows)
    shared = START + plan.load if any(not row.own_process for row in rows) else 0.0
    return plan.made + shared + sum(row.planned for row in rows) if rows else 0.0
