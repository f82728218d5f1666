"""Whether a model fits on cards of each size, under a cap of torch's allocator."""

from collections.abc import Iterator
from typing import Final

from benchmarks.gpu.families.bench import Painted
from benchmarks.gpu.families.context import Context
from benchmarks.gpu.families.peak import Peak
from benchmarks.gpu.families.standing import USUAL, Way, on_card, standing
from benchmarks.gpu.requests import shown
from benchmarks.gpu.row import Figure
from benchmarks.side_by_side import capped
from bot.engine.memory import Profile
from bot.errors import JobFailed

CAPS: Final = {Profile.GB8: 7.0, Profile.GB11: 9.3, Profile.GB16: 14.3}
"""GiB that a card of this size leaves to torch, beside CUDA's own memory and a screen."""
STEPS_MAX: Final = 8
"""Of a request here. Its peak does not depend on them."""


def memory(context: Context) -> Iterator[Figure]:
    """Without a cap first, which the seconds are compared with; then on each card in each way.

    auto: in 8 bits where the family says so, streamed where that is too large. full: in 16 bits,
    with blocks that take turns there. Where a model has room in 16 bits, both are the same.
    """
    model = context.bench.model
    whole, peak = _painted(context, USUAL)
    yield Figure(
        "whole, without a cap",
        f"{shown(whole.step)} a step",
        f"{peak}",
        {"step": whole.step, **peak.numbers},
    )
    for profile, gibibytes in CAPS.items():
        for way in on_card(model, profile):
            with capped(gibibytes):
                yield _on(context, way, gibibytes, whole.step)


def _on(context: Context, way: Way, gibibytes: float, whole: float) -> Figure:
    what = f"{way.name}, at most {gibibytes:g} GiB"
    if not context.cuda:
        what = f"{way.name}, not capped without CUDA"
    try:
        painted, peak = _painted(context, way)
    except JobFailed as failure:
        if not failure.code.startswith("memory."):
            raise
        return Figure(what, "does not fit", failure.code, wrong=True)
    used = painted.painting.recipe.environment["memory"]
    if used != way.profile.value:
        # It ran out of memory and was tried again with the next profile.
        return Figure(what, "does not fit", f"painted as on {used}; {peak}", wrong=True)
    ratio = painted.step / whole
    return Figure(
        what,
        "fits",
        f"{peak}; {shown(painted.step)} a step, {ratio:.3f}× whole",
        {"step": painted.step, "ratio": ratio, **peak.numbers},
    )


def _painted(context: Context, way: Way) -> tuple[Painted, Peak]:
    """One image with the model there in that way, and the peak from loading it on."""
    bench = context.bench
    with standing(bench, way), Peak() as peak:
        painted = bench.paint(context.request(steps=min(context.steps, STEPS_MAX)))
        if painted.painting.recipe.environment["memory"] == way.profile.value:
            way.check(bench)
    return painted, peak
