"""Every row, in the order of its worth: should time run out, the last ones are missing.

Does not import torch.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from benchmarks.gpu.row import Lazy, Row

FIRST_START: Final = 55.0
START: Final = 18.0
"""Seconds for a process to import the libraries and load a model; the first also reads libraries
from a cold disk, and draws, writes and hashes both models."""
COMPILING: Final = 200.0
COMPILED_BEFORE: Final = 60.0
"""Seconds of compiling a UNet, and of finding it on the disk."""
FIRST: Final = "first"
CAPS: Final = "caps"
COMPILED: Final = "compiled"


def _row(name: str, place: str, seconds: float, process: str = "", /, **options: Any) -> Row:
    return Row(name, Lazy(place, options), seconds, process=process)


def _on_cuda(name: str, place: str, seconds: float, process: str = "", /, **options: Any) -> Row:
    return Row(name, Lazy(place, options), seconds, needs_cuda=True, process=process)


def _compiled(name: str, place: str, seconds: float, /, **options: Any) -> Row:
    # Each begins without compiled code in its process.
    measure = Lazy(place, options)
    return Row(name, measure, seconds, needs_cuda=True, process=name, compiles=True)


_CANDIDATE: Final = "requests.candidate"
ROWS: Final = (
    _row("request", "requests.request", 29, FIRST),
    _row("stages", "requests.stages", 8, FIRST),
    _row("VAE", "decoding.vae", 10, FIRST),
    _row("exact", "exactness.exact", 28, FIRST),
    # What a failed capture may ruin is not used afterwards; the one that is meant to fail is last.
    _on_cuda("graph", _CANDIDATE, 21, FIRST, name="graph", whole=True),
    _on_cuda("graph bytes", "exactness.graphed", 25, FIRST),
    _on_cuda("graph-of-layouts", _CANDIDATE, 10, FIRST, name="graph-of-layouts"),
    _on_cuda("cancel, graph", "exactness.cancel_graphed", 6, FIRST),
    _on_cuda("failed capture", "exactness.failed_capture", 3, FIRST),
    _row("cap 9.3 GiB", "exactness.cap", 34, CAPS, gibibytes=9.3),
    _row("cap 7 GiB", "exactness.cap", 18, CAPS, gibibytes=7.0),
    _row("new process", "exactness.in_a_new_process", 2),
    _row("switch from RAM", "switching.from_ram", 20),
    _row("cancel", "exactness.cancel", 5),
    _row("adapters, rank 32", "adapting.use", 36, rank=32),
    _row("step with four adapters", "adapting.step", 8),
    _row("batched-addmm", "adapting.batched", 5),
    _row("channels-last", _CANDIDATE, 6, name="channels-last"),
    _row("fused-qkv", _CANDIDATE, 6, name="fused-qkv"),
    _on_cuda("fp16-accumulation", _CANDIDATE, 6, name="fp16-accumulation"),
    _on_cuda("cudnn-benchmark", _CANDIDATE, 8, name="cudnn-benchmark"),
    _row("uint8-on-device", _CANDIDATE, 6, name="uint8-on-device"),
    _row("four images", "requests.counts", 11, count=4),
    _row("alike", "exactness.alike", 3),
    _row("adapters, rank 128", "adapting.use", 36, rank=128),
    _row("a dozen sets", "adapting.drift", 6, sets=12),
    _row("switch from a cold file", "switching.from_disk", 22),
    # Last, as a profiler may leave something that slows what comes after it.
    _on_cuda("gaps", "requests.gaps", 5),
    _compiled("compiled", "requests.compiled", COMPILING + 35),
    _compiled(
        "compiled-graph", _CANDIDATE, COMPILED_BEFORE + 35, name="compiled-graph", whole=True
    ),
)
"""Of both calls; see `chosen`."""


def planned(rows: Iterable[Row]) -> float:
    """Seconds that a run of `rows` should take on an H200."""
    rows = tuple(rows)
    processes = sum(1 for _ in groupby(rows, lambda row: row.process))
    return FIRST_START + START * (processes - 1) + sum(row.planned for row in rows) if rows else 0.0


def chosen(*, compiled: bool) -> tuple[Row, ...]:
    """The rows of one call: those that compile have their own."""
    return tuple(row for row in ROWS if row.compiles == compiled)
