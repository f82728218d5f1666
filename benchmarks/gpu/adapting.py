"""LoRAs: first use and again, a step with four, memory, random sets, and a way to add them."""

import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import adapters, bench_model
from benchmarks.baseline import torchs_defaults
from benchmarks.gpu.candidates.adapters import batched_addmm
from benchmarks.gpu.context import Context
from benchmarks.gpu.exactness import from_line
from benchmarks.gpu.requests import compared, shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import Line, seconds


def use(context: Context, rank: int) -> Iterator[Figure]:
    """One LoRA and four for the first time, then four again, until the first step could begin.

    Plain diffusers loads each once, which takes it seconds: its four are that one and three more.
    """
    bench = context.bench
    files = _files(context, rank)
    pipeline = context.loading(files)
    load = _Loading(pipeline)
    plain_added: tuple[int, int] | None = None
    if context.cuda:
        plain_added = adapters.added(partial(load, files))
    else:
        load(files)
    for count in (1, len(files)):
        ours = _first_use(context, files[:count])
        yield _figure(f"{count} of rank {rank}, first use", ours, load.of(count))
    yield from_line(adapters.again(bench, pipeline, files, 1))
    if plain_added:
        what = adapters.MEMORY.format(len(files), rank)
        yield from_line(adapters.of_memory(what, adapters.added_by_ours(bench, files), plain_added))


def _files(context: Context, rank: int) -> list[Path]:
    return [context.bench.lora(number, rank=rank) for number in range(bench_model.SET)]


class _Loading:
    """Loads LoRAs into plain diffusers' pipeline.

    files: seconds of reading each. applying: of applying the first one, and all.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.files: list[float] = []
        self.applying: list[float] = []

    def __call__(self, files: Sequence[Path]) -> None:
        with torchs_defaults():
            for number, file in enumerate(files, 1):
                self.files.append(seconds(partial(adapters.load_one, self._pipeline, file)))
                if number in (1, len(files)):
                    self.applying.append(seconds(partial(self._apply, files[:number])))

    def _apply(self, files: Sequence[Path]) -> None:
        adapters.switch_on(self._pipeline, files)
        adapters._encode(self._pipeline)

    def of(self, count: int) -> float:
        """Seconds of the first `count` files, which is one or all."""
        return sum(self.files[:count]) + self.applying[count > 1]


def _first_use(context: Context, files: Sequence[Path]) -> float:
    """Median seconds of our engine with files that are new to it, after a warm-up."""
    offering = context.bench.offering(*files)
    times: list[float] = []
    for _ in range(context.repeat + 1):
        adapters.until_ready(offering, ())
        for file in files:
            adapters._renew(file)
        times.append(seconds(lambda: adapters.until_ready(offering, files)))
    adapters.until_ready(offering, ())
    return statistics.median(times[1:])


def _figure(what: str, ours: float, plain: float) -> Figure:
    ratio = ours / plain
    return Figure(
        what,
        shown(ours),
        f"plain {shown(plain)}, {ratio:.3f}× plain",
        {"seconds": ours, "plain": plain, "ratio": ratio},
    )


def step(context: Context) -> Iterator[Figure]:
    """One UNet evaluation with four LoRAs, compared with none."""
    files = _files(context, 32)
    lines: list[Line] = adapters.step(
        context.bench, context.plain_with(files), files, context.repeat
    )
    yield from map(from_line, lines)


def batched(context: Context) -> Iterator[Figure]:
    """Filling the networks and adding four LoRAs to them, module by module and by shape."""
    bench, files = context.bench, _files(context, 32)
    offering = bench.offering(*files)
    asked = bench.request(steps=max(2, context.steps // 3), adapters=bench.wearing(*files))
    before = offering.paint(asked)
    patched = [part for part in bench.resident.parts.values() if part._changes]

    def refill() -> None:
        for part in patched:
            part._filled = None
            part.wake(lambda: None)

    ours = context.median(refill)
    with batched_addmm(bench):
        taken = context.median(refill)
        meanwhile = offering.paint(asked)
    after = offering.paint(asked)
    name = "batched-addmm"
    yield Figure(
        f"{name}: filling {len(patched)} networks, with {len(files)} LoRAs of rank 32",
        shown(taken),
        f"{taken / ours:.3f}× ours, {shown(ours)}",
        {"seconds": taken, "eager": ours, "of_eager": taken / ours},
    )
    yield from compared(name, before, meanwhile, after, same_bits=False)


def drift(context: Context, sets: int) -> Iterator[Figure]:
    """Weights of ours that differ after so many random sets; plain's take minutes."""
    differing = adapters.drifted(context.bench, _files(context, 32), sets)
    yield Figure(
        f"weights that differ after {sets} sets",
        f"{differing:.1%}" if differing else "0",
        "goal 0",
        {"share": differing},
        wrong=differing > 0,
    )
