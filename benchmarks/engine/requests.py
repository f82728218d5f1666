"""One request from prompt to image, beside plain diffusers: its time, and whether both agree."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from PIL import ImageChops

from benchmarks.bench_model import Bench
from benchmarks.side_by_side import Line, alternate, of_pair

ALIKE: Final = 8
"""How far a pixel's channel may be from plain diffusers': rounding that is not visible."""


def requested(bench: Bench, options: argparse.Namespace) -> Iterator[Line]:
    """How long a request takes, and whether both programs generate the same image."""
    pipeline = bench.plain()
    yield request_end_to_end(bench, pipeline, options.steps, options.repeat)
    yield alike(bench, pipeline, options.steps)


def request_end_to_end(bench: Bench, pipeline: Any, steps: int, repeat: int) -> Line:
    """Time one image, from prompt to pixels, each with a prompt of its own."""
    pair = alternate(
        lambda: bench.paint(bench.fresh(steps=steps)),
        lambda: bench.paint_plain(pipeline, bench.fresh(steps=steps)),
        repeat,
    )
    return of_pair(
        f"one request, {steps} steps, {bench.shape.side}×{bench.shape.side}",
        pair,
        most=0.62 if bench.device == "cuda" else None,
        goal="≤ 0.62×",
    )


def alike(bench: Bench, pipeline: Any, steps: int) -> Line:
    """Check that both generate the same image and that it is not flat, as NaNs would make it.

    Otherwise their times could not be compared.
    """
    request = bench.request(steps=steps)
    ours = bench.paint(request).images[0].image
    plain = bench.paint_plain(pipeline, request)
    farthest = max(ImageChops.difference(ours, plain).tobytes())
    colours = min(len(set(band.tobytes())) for band in plain.split())
    same = farthest <= ALIKE and colours > 1
    what = f"greatest difference of a pixel's channel from plain, {steps} steps"
    return Line(what, f"{farthest} of 255", "–", "", f"≤ {ALIKE}, not flat", same, must=True)
