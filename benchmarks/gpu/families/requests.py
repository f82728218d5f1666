"""How long a request takes, and what memory it takes, against the stock pipeline."""

from collections.abc import Iterator
from typing import Any

import torch
from PIL import ImageChops

from benchmarks.baseline import torchs_defaults
from benchmarks.gpu.families.context import DTYPE, Context
from benchmarks.gpu.families.peak import Peak, allocated
from benchmarks.gpu.requests import shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import alternate


def request(context: Context) -> Iterator[Figure]:
    """The variant's usual request, each run with a prompt that has not been encoded yet."""
    bench, asked = context.bench, context.request()
    with Peak() as own:
        ours = bench.paint(asked)
    context.tidy()
    try:
        with Peak(less=allocated()) as theirs, torchs_defaults():
            image = bench.model.paint(context.plain, asked)
        pair = alternate(
            lambda: bench.paint(context.request()),
            lambda: bench.model.paint(context.plain, context.request()),
            context.repeat,
        )
    finally:
        context.release_plain()
    own_seconds, stock_seconds = pair.seconds
    size = f"{asked.width}×{asked.height}, {asked.steps} steps"
    yield Figure(
        f"stock diffusers, {_name(DTYPE)}, torch's own settings",
        shown(stock_seconds),
        f"{size}, {shown(stock_seconds / asked.steps)} a step on average; {theirs}",
        {"seconds": stock_seconds, **theirs.numbers},
    )
    step = bench.paint(context.request()).step
    yield Figure(
        "ours",
        shown(own_seconds),
        f"{pair.ratio:.3f}× stock, {shown(step)} a step; {own}",
        {"seconds": own_seconds, "ratio": pair.ratio, "step": step, **own.numbers},
    )
    yield _alike(ours.image, image)


def _alike(ours: Any, stock: Any) -> Figure:
    """How far the images are apart: in 16 bits they need not be equal, with other kernels."""
    difference: Any = ImageChops.difference(ours, stock)
    farthest = max(high for _, high in difference.getextrema())
    return Figure(
        "greatest difference of a pixel's channel from stock",
        f"{farthest} of 255",
        numbers={"farthest": float(farthest)},
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
