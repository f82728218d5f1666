"""With IMAGEN_COMPILE: how long compiling takes, what it gains, and that nothing recompiles."""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from benchmarks import bench_model
from benchmarks.alone import alone
from benchmarks.bench_model import KEYS, RAM, Bench
from benchmarks.engine.requests import request_end_to_end
from benchmarks.side_by_side import Line, seconds

SWITCHES: Final = 50
STARTS = ("compiling in the background, first start", "… in a new process, found on disk")


def compiled(options: argparse.Namespace) -> Iterator[Line]:
    """With IMAGEN_COMPILE: how long compiling takes, what it gains, and that nothing recompiles.

    Always in the full memory profile, the only one that compiles.
    """
    with tempfile.TemporaryDirectory() as code:
        for start in STARTS:
            yield from alone(started, options, start, code)


def started(options: argparse.Namespace, start: str, code: str) -> list[Line]:
    """The lines of one of STARTS; code: folder where compiled code is kept."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = code
    with bench_model.opened(options, model_cache=RAM, compiled=True, memory="full") as bench:
        bench.paint(bench.request(steps=1))
        taken = seconds(bench.painter._kernels.wait)
        lines = [Line(start, f"{taken:.1f} s", "–")]
        if start == STARTS[-1]:
            pipeline = bench.plain()
            line = request_end_to_end(bench, pipeline, options.steps, options.repeat)
            lines += [replace(line, what=f"{line.what}, compiled"), recompilations(bench)]
        return lines


def recompilations(bench: Bench) -> Line:
    """Count recompilations, and check that compiled code runs, while models and LoRAs change."""
    from torch._dynamo.utils import counters

    before, chance = counters["stats"]["unique_graphs"], random.Random(5)
    files = [bench.lora(number) for number in range(bench_model.SET)]
    offering, names = bench.offering(*files), set()
    for _ in range(SWITCHES):
        worn = chance.sample(files, chance.randrange(len(files) + 1))
        request = bench.request(
            steps=1,
            model=chance.choice(KEYS),
            adapters=bench.wearing(*worn, weight=chance.uniform(-1, 1)),
        )
        names.add(offering.paint(request).recipe.environment["kernels"])
    again = counters["stats"]["unique_graphs"] - before
    return Line(
        f"recompilations over {SWITCHES} random switches of model and LoRAs",
        str(again),
        "–",
        "",
        "0",
        again == 0 and names == {"compiled"},
        must=True,
    )
