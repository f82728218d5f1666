"""Measure ours and plain diffusers alternately, in one process, on the same work."""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.baseline import torchs_defaults

Work = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of each alternating run, without the warm-ups."""

    ours: Sequence[float]
    plain: Sequence[float]

    @property
    def seconds(self) -> tuple[float, float]:
        """Medians: ours, plain."""
        return statistics.median(self.ours), statistics.median(self.plain)

    @property
    def ratio(self) -> float:
        """Ours ÷ plain."""
        ours, plain = self.seconds
        return ours / plain


def seconds(work: Work) -> float:
    """How long `work` takes, including the GPU work that it started."""
    _synchronise()
    began = time.perf_counter()
    work()
    _synchronise()
    return time.perf_counter() - began


def alternate(
    ours: Work, plain: Work, repeat: int, before: Callable[[], Any] = lambda: None
) -> Pair:
    """Run both alternately, `repeat` times after a warm-up; `before` runs untimed before each.

    plain has torch's own settings, not those that our engine made.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat + 1):
        before()
        times[0].append(seconds(ours))
        before()
        with torchs_defaults():
            times[1].append(seconds(plain))
    return Pair(times[0][1:], times[1][1:])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table.

    met: None where there is no goal on this machine. must: whether missing the goal fails the
    benchmark, because it is about correctness and not about speed.
    """

    what: str
    ours: str
    plain: str
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    must: bool = False

    @property
    def fails(self) -> bool:
        return self.must and not self.met


def of_pair(what: str, pair: Pair, *, most: float | None = None, goal: str = "") -> Line:
    """The line for `pair`. most: the highest ratio that meets the goal."""
    ours, plain = pair.seconds
    met = None if most is None else pair.ratio <= most
    return Line(what, _shown(ours), _shown(plain), f"{pair.ratio:.3f}×", goal, met)


HEAD: Final = """\
| what | ours | plain diffusers | ours ÷ plain | goal | met |
|---|---|---|---|---|---|"""
MARK: Final = {True: "yes", False: "**no**", None: "–"}


def row(line: Line) -> str:
    """The line in Markdown."""
    ratio, goal = line.ratio or "–", line.goal or "–"
    return f"| {line.what} | {line.ours} | {line.plain} | {ratio} | {goal} | {MARK[line.met]} |"


def table(lines: Iterable[Line]) -> str:
    """The lines in Markdown, under HEAD."""
    return "\n".join([HEAD, *map(row, lines)])


def shown(lines: Iterable[Line]) -> list[Line]:
    """Print `lines` as a table, each as soon as it is measured; returns all of them."""
    print(HEAD, flush=True)
    measured = []
    for line in lines:
        print(row(line), flush=True)
        measured.append(line)
    return measured


def capped(gibibytes: float | None) -> AbstractContextManager[None]:
    """On CUDA, let torch reserve no more than `gibibytes` meanwhile; elsewhere do nothing."""
    if gibibytes is None or not torch.cuda.is_available():
        return nullcontext()
    return _Cap(gibibytes)


class _Cap(AbstractContextManager[None]):
    def __init__(self, gibibytes: float) -> None:
        self._share = gibibytes * 2**30 / torch.cuda.get_device_properties().total_memory

    def __enter__(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(min(self._share, 1.0))

    def __exit__(self, *_: object) -> None:
        torch.cuda.set_per_process_memory_fraction(1.0)


def tidy() -> None:
    """Free what the last run left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _shown(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"
