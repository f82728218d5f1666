"""Every row, in the order of its worth: should time run out, the last ones are missing."""

from functools import partial
from typing import Final

from benchmarks.gpu import adapting, decoding, exactness, requests, switching
from benchmarks.gpu.candidates import CANDIDATES
from benchmarks.gpu.row import Row

CANDIDATE: Final = 7.0
WHOLE: Final = 20.0
"""Seconds planned for a candidate, and for one with a process of its own, which has to start."""
START: Final = 12.0
COMPILING: Final = 200.0

_FIRST: Final = (
    Row("request", requests.request, 22),
    Row("stages", requests.stages, 6),
    Row("gaps", requests.gaps, 6, needs_cuda=True),
    Row("VAE", decoding.vae, 8),
)
_REST: Final = (
    Row("exact", exactness.exact, 12),
    Row("switch from RAM", switching.from_ram, 16),
    Row("one adapter, rank 32", partial(adapting.use, count=1, rank=32), 10),
    Row("four adapters, rank 32", partial(adapting.use, count=4, rank=32), 20),
    Row("step with four adapters", adapting.step, 18),
    Row("cancel", exactness.cancel, 5),
    Row("four images", partial(requests.counts, count=4), 10),
    Row("alike", exactness.alike, 5),
    Row("adapter memory", adapting.memory, 12, needs_cuda=True),
    Row("one adapter, rank 128", partial(adapting.use, count=1, rank=128), 10),
    Row("four adapters, rank 128", partial(adapting.use, count=4, rank=128), 22),
    Row("a hundred sets", adapting.drift, 20),
    Row("new process", exactness.in_a_new_process, START + 4),
    Row("switch from a cold file", switching.from_disk, 30),
)
_ALONE: Final = (
    Row("cap 9.3 GiB", partial(exactness.cap, gibibytes=9.3), START + 14, own_process=True),
    Row("cap 7 GiB", partial(exactness.cap, gibibytes=7.0), START + 14, own_process=True),
    Row("graph bytes", exactness.graphed, START + 14, needs_cuda=True, own_process=True),
    Row(
        "failed capture",
        exactness.failed_capture,
        START + 2,
        needs_cuda=True,
        own_process=True,
    ),
)
COMPILED: Final = Row(
    "compiled", requests.compiled, COMPILING + WHOLE, needs_cuda=True, compiles=True
)


def all_rows() -> tuple[Row, ...]:
    """The rows of both calls; see `chosen`."""
    candidates = tuple(
        Row(
            each.name,
            partial(requests.candidate, name=each.name),
            (COMPILING if each.compiles else 0.0)
            + (START + WHOLE if each.own_process else CANDIDATE),
            needs_cuda=each.needs_cuda,
            own_process=each.own_process,
            compiles=each.compiles,
        )
        for each in CANDIDATES
    )
    return (*_FIRST, *candidates, *_REST, *_ALONE, COMPILED)


def planned(rows: tuple[Row, ...]) -> float:
    """Seconds that a run of `rows` should take on an H200."""
    return START + sum(row.planned for row in rows)


def chosen(rows: tuple[Row, ...], *, compiled: bool) -> tuple[Row, ...]:
    """The rows of one call: those that compile have their own."""
    return tuple(row for row in rows if row.compiles == compiled)
