"""A row of the table and what it found. Does not import torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DONE: Final = "done"
FAILED: Final = "failed"
OVERDUE: Final = "over its deadline"
DIED: Final = "its process ended"
SKIPPED: Final = "skipped"
NO_TIME: Final = "not begun: no time left"


class Skip(Exception):
    """Raised by a row that cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. note: what it is compared with. numbers: the same, unrounded, for programs.

    wrong: whether it shows that something is broken, rather than slow.
    """

    what: str
    value: str
    note: str = ""
    numbers: Mapping[str, float | str | bool] = field(default_factory=dict)
    wrong: bool = False


Measure = Callable[[Any], Iterable[Figure]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or a group of figures that are measured together.

    measure: gets the Context. planned: seconds on an H200, the start of a process included where
        it has its own. needs_cuda: skipped elsewhere. own_process: may ruin the process, so it
        runs after the others, alone. compiles: only with `--compile`.
    """

    name: str
    measure: Measure
    planned: float
    needs_cuda: bool = False
    own_process: bool = False
    compiles: bool = False

    @property
    def deadline(self) -> float:
        """Seconds after which the row counts as hanging."""
        return 20.0 + 3 * self.planned


@dataclass(slots=True)
class Outcome:
    """What became of a row. said: why, if it is not DONE."""

    state: str
    seconds: float = 0.0
    said: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
