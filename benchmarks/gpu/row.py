"""A row of the table and what it found. Does not import torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

DONE: Final = "done"
RUNNING: Final = "running"
FAILED: Final = "failed"
OVERDUE: Final = "over its deadline"
DIED: Final = "its process ended"
SKIPPED: Final = "skipped"
CUT: Final = "cut off: no time left"
NO_TIME: Final = "not begun: no time left"
STOPPED: Final = "stopped"


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
class Lazy:
    """A Measure that is imported where it runs: the process that lists the rows has no torch.

    place: a function below `benchmarks.gpu`. options: what it gets beside the Context.
    """

    place: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> Callable[..., Iterable[Figure]]:
        """Raises ImportError or AttributeError where there is none."""
        module, _, name = self.place.rpartition(".")
        found: Callable[..., Iterable[Figure]] = getattr(
            import_module(f"benchmarks.gpu.{module}"), name
        )
        return found

    def __call__(self, context: Any) -> Iterable[Figure]:
        return self.function(context, **self.options)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or a group of figures that are measured together.

    measure: gets the Context. planned: seconds on an H200, without the start of a process.
    needs_cuda: skipped elsewhere. process: rows that follow each other and say the same share one.
    compiles: only with `--compile`.
    """

    name: str
    measure: Measure
    planned: float
    needs_cuda: bool = False
    process: str = ""
    compiles: bool = False

    @property
    def deadline(self) -> float:
        """Seconds after which the row counts as hanging."""
        return 20.0 + 3 * self.planned


@dataclass(slots=True)
class Outcome:
    """What became of a row. said: why, if it is not DONE. card: its clocks when the row ended."""

    state: str
    seconds: float = 0.0
    said: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
    card: dict[str, str] = field(default_factory=dict)
