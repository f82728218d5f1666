"""Every row of a family, in the order of its worth: should time run out, the last are missing.

Does not import torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.gpu.row import Lazy, Row

START: Final = 12.0
"""Seconds for a process to import the libraries."""
MEMORY: Final = "memory"
MEASURES: Final[Mapping[str, Lazy]] = {
    # First, as it has a process of its own, and the others share one.
    MEMORY: Lazy("families.memory.memory"),
    "request": Lazy("families.requests.request"),
    "bytes": Lazy("families.exactness.exact"),
    "float16": Lazy("families.halves.finite"),
    "beyond float16": Lazy("families.halves.beyond"),
}
"""By the kinds of rows."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Seconds on an H200. made: writing and hashing the files. load: from them into RAM and onto
    the device. kinds: of each kind of row that it has, loading not included."""

    made: float
    load: float
    kinds: Mapping[str, float]


def _planned(made: float, load: float, *kinds: float) -> Planned:
    return Planned(made, load, dict(zip(MEASURES, kinds, strict=False)))


PLANNED: Final = {
    "flux2": _planned(26, 8, 18, 10, 18, 14, 5),
    "zimage": _planned(36, 12, 28, 18, 28, 18, 6),
    "anima": _planned(9, 5, 13, 18, 10, 8, 5),
    "sd15": _planned(4, 2, 8, 7, 7, 4),
    "chroma": _planned(46, 16, 50, 60, 34, 50, 8),
    "flux1": _planned(60, 22, 60, 60, 45, 60, 10),
    "krea2": _planned(64, 22, 60, 40, 60, 40, 10),
}
"""By family, in the order of their worth."""
USUAL: Final = ("flux2", "zimage", "anima", "sd15")
"""Those that a call measures unless others are named: as many as there is time for."""


def rows_of(family: str, kinds: Iterable[str] = tuple(MEASURES)) -> tuple[Row, ...]:
    """The rows of these kinds. Caps are in a process of their own."""
    plan = PLANNED[family]
    return tuple(
        Row(
            f"{family}: {kind}",
            measure,
            plan.kinds[kind],
            process=MEMORY if kind == MEMORY else "",
        )
        for kind, measure in MEASURES.items()
        if kind in kinds and kind in plan.kinds
    )


def planned(family: str, rows: Iterable[Row]) -> float:
    """Seconds that `rows`, all of `family`, should take on an H200."""
    plan, rows = PLANNED[family], tuple(rows)
    processes = len({row.process for row in rows})
    each = (START + plan.load) * processes
    return plan.made + each + sum(row.planned for row in rows) if rows else 0.0
