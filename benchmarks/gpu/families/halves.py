"""Whether numbers stay finite in float16, in which a card without bfloat16 denoises.

With random weights this shows the mechanics alone: that each network runs in the dtypes of such a
card, and that what holds it within float16 does so once its numbers are too large. Trained weights
have outliers that random ones have not, so whether a model needs that, and whether its images
remain good, only its own weights can show.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import torch

from benchmarks.gpu.families.bench import Bench
from benchmarks.gpu.families.context import Context
from benchmarks.gpu.families.watching import Watch
from benchmarks.gpu.row import Figure
from bot.errors import JobFailed, PaintStopped, StopReason

LIMIT: Final = torch.finfo(torch.float16).max
STEPS: Final = 2
FACTOR: Final = 4
"""A power of 2, so that it changes nothing but the exponent of a weight."""
FACTORS_MAX: Final = 12


def finite(context: Context) -> Iterator[Figure]:
    """All networks in float16, or in what their family has in its place, from prompt to image."""
    bench = context.half
    context.bench.engine.rest()
    _load(bench)
    said = ""
    with Watch(_networks(bench)) as watch:
        try:
            bench.paint(context.request(steps=STEPS))
        except JobFailed as failure:
            if not failure.code.startswith("image."):
                raise
            said = failure.code
    dtypes = ", ".join(f"{name} {_dtype(part)}" for name, part in bench.resident.parts.items())
    notes = [f"first not finite: {place}" for place in watch.broken[:1]]
    notes += [*filter(None, [said]), _largest(watch), dtypes]
    yield _finite("finite in float16", watch, notes, finite=not (watch.broken or said))


def beyond(context: Context) -> Iterator[Figure]:
    """Weights scaled up until numbers pass float16's largest in bfloat16; then in float16."""
    pattern = context.bench.model.swelling
    scale, passing = _outgrown(context, pattern)
    yield Figure(
        f"bfloat16 with weights × {scale}",
        f"{passing.largest[0]:.3g}",
        f"in {passing.largest[1]}; float16 ends at {LIMIT:g}",
        {"scale": float(scale), "largest": passing.largest[0]},
    )
    context.bench.engine.rest()
    bench = context.half
    _load(bench)
    with _scaled(bench, pattern, scale):
        watch = _denoised(context, bench)
    held = [f"held within: {place}" for place in watch.broken[:1]]
    what = f"what it predicts is finite in float16 with weights × {scale}"
    denoiser = bench.resident.family.denoiser
    yield _finite(what, watch, [*held, _largest(watch)], finite=denoiser not in watch.broken)


def _outgrown(context: Context, pattern: str) -> tuple[int, Watch]:
    """The first scale with which numbers pass LIMIT in bfloat16, and what was seen then."""
    bench = context.bench
    _load(bench)
    for power in range(1, FACTORS_MAX + 1):
        scale = FACTOR**power
        with _scaled(bench, pattern, scale):
            watch = _denoised(context, bench)
        if watch.broken:
            where = watch.broken[0]
            raise RuntimeError(f"not finite in bfloat16 with weights × {scale}: {where}")
        if watch.largest[0] > LIMIT:
            return scale, watch
    raise RuntimeError(f"with weights × {scale}, nothing is larger than {watch.largest[0]:.3g}")


@contextmanager
def _scaled(bench: Bench, pattern: str, scale: int) -> Iterator[None]:
    """Meanwhile, the weights on the device whose names match are `scale` times as large, also when
    they come back to it."""
    part: Any = bench.resident.parts[bench.resident.family.denoiser]
    chosen = [name for name, _ in part.module.named_parameters() if re.fullmatch(pattern, name)]
    if not chosen:
        raise RuntimeError(f"no weight is called {pattern}")
    wake = part.wake

    def woken(check_stop: Callable[[], None]) -> None:
        there = part.present and part.filled
        wake(check_stop)
        if not there:
            with torch.no_grad():
                for name in chosen:
                    part.module.get_parameter(name).mul_(scale)

    part._filled = None  # so that it is filled now, and from the pristine weights in the end
    part.wake = woken
    try:
        yield
    finally:
        del part.wake
        part._filled = None


def _denoised(context: Context, bench: Bench) -> Watch:
    """What was seen in the denoiser, until its first step is done: nothing is decoded."""
    denoiser = bench.resident.family.denoiser
    steps: list[int] = []

    def count(*_: object) -> None:
        steps.append(1)

    def check() -> None:
        if steps:
            raise PaintStopped(StopReason.CANCELLED)

    module = bench.resident.network(denoiser)
    with Watch({denoiser: module}) as watch, suppress(PaintStopped):
        hook = module.register_forward_hook(count)
        try:
            bench.paint(bench.request(steps=STEPS), check)
        finally:
            hook.remove()
    return watch


def _load(bench: Bench) -> None:
    """Have its networks there to be looked at."""
    bench.engine.preload(bench.catalog.models[bench.model.key], lambda: None)


def _networks(bench: Bench) -> Mapping[str, torch.nn.Module]:
    return {name: part.module for name, part in bench.resident.parts.items()}


def _dtype(part: Any) -> str:
    return str(part.layout.dtype).removeprefix("torch.")


def _largest(watch: Watch) -> str:
    largest, place = watch.largest
    return f"largest {largest:.3g} in {place}"


def _finite(what: str, watch: Watch, notes: Sequence[str], *, finite: bool) -> Figure:
    numbers: dict[str, float | str | bool]
    numbers = {"finite": finite, "largest": watch.largest[0], "first": "".join(watch.broken[:1])}
    return Figure(what, "yes" if finite else "no", "; ".join(notes), numbers, wrong=not finite)
