"""Our own bytes: the same, whatever was generated before."""

import argparse
from typing import Any

from benchmarks import bench_model
from benchmarks.bench_model import KEYS, Bench
from benchmarks.side_by_side import Line
from bot.engine import Engine


def exact(bench: Bench, options: argparse.Namespace) -> Line:
    """Check that one request gives the same bytes, whatever ran before it."""
    files = [bench.lora(number) for number in range(2)]
    offering = bench.offering(*files)
    request = bench.request(steps=2, adapters=bench.wearing(*files), model=KEYS[0])
    pictures = [_bytes(offering, request)]
    pictures.append(_bytes(offering, request))
    offering.paint(bench.request(steps=1, model=KEYS[1]))
    offering.paint(bench.request(steps=1, adapters=bench.wearing(files[1]), width=64, height=128))
    pictures.append(_bytes(offering, request))
    new = Engine(
        models_dir=bench.weights.absolute(),
        hashes_file=bench_model.hashes_file(bench.weights),
        device=options.device,
        memory=options.memory,
        model_cache=0,
    )
    bench.engine.rest()
    painting = new.paint(offering.order(request), lambda _: None, lambda: None)
    new.close()
    pictures.append(painting.images[0].image.tobytes())
    same = len(set(pictures)) == 1
    what = "byte-identical: twice, after other models and adapters, in a new engine from files"
    return Line(what, "yes" if same else "no", "–", "", "always", same, must=True)


def _bytes(bench: Bench, request: Any) -> bytes:
    return bytes(bench.paint(request).images[0].image.tobytes())
