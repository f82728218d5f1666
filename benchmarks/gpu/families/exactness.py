"""Same bytes in every way in which a model can be there, and what a LoRA costs at each step."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.gpu.families.bench import Painted
from benchmarks.gpu.families.context import Context
from benchmarks.gpu.families.standing import (
    USUAL,
    Way,
    in_eight_bits,
    parked,
    standing,
    streamed,
    streamed_in_eight_bits,
)
from benchmarks.gpu.requests import shown
from benchmarks.gpu.row import Figure

ROUNDS: Final = 2
STEPS_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Found:
    """Images and steps of one way, without the LoRA and with it."""

    bare: list[Painted]
    worn: list[Painted]

    @property
    def again(self) -> bool:
        """Whether every round gave the same bytes, with the other request in between."""
        return all(len(set(map(_digest, each))) == 1 for each in (self.bare, self.worn))

    @property
    def digests(self) -> tuple[str, str]:
        return _digest(self.bare[0]), _digest(self.worn[0])

    @property
    def steps(self) -> tuple[float, float]:
        """Median seconds of a step, without the LoRA and with it."""
        bare, worn = (
            median(step for painted in each for step in painted.steps)
            for each in (self.bare, self.worn)
        )
        return bare, worn


def exact(context: Context) -> Iterator[Figure]:
    """The same two requests in each way, in turns: as it is, and with a LoRA on every matrix."""
    model = context.bench.model
    whole = _found(context, USUAL)
    if len(set(whole.digests)) == 1:
        raise RuntimeError("the LoRA changed nothing, so nothing would be shown with it")
    yield from _own(USUAL, whole, None)
    for way in (parked(model), streamed(model)):
        if way:
            found = _found(context, way)
            yield from _own(way, found, whole)
            yield from _alike(way, found, USUAL, whole)
    eight, in_eight = in_eight_bits(), _found(context, in_eight_bits())
    yield from _own(eight, in_eight, whole)
    if way := streamed_in_eight_bits(model):
        found = _found(context, way)
        yield from _own(way, found, whole)
        yield from _alike(way, found, eight, in_eight)


def _found(context: Context, way: Way) -> Found:
    bench, steps = context.bench, min(context.steps, STEPS_MAX)
    found = Found([], [])
    with standing(bench, way):
        for _ in range(ROUNDS):
            found.bare.append(bench.paint(bench.request(steps=steps)))
            found.worn.append(bench.paint(bench.request(steps=steps, lora=True)))
            way.check(bench)
    for painted in found.worn:
        if painted.painting.warnings:
            raise RuntimeError(f"not all of the LoRA was applied: {painted.painting.warnings}")
    return found


def _own(way: Way, found: Found, whole: Found | None) -> Iterator[Figure]:
    yield _same(f"{way.name}: same bytes twice, a LoRA and none in turns", same=found.again)
    bare, worn = found.steps
    note = f"{shown(worn)} with the LoRA"
    if whole:
        note += f"; without it {bare / whole.steps[0]:.3f}× whole"
    yield Figure(
        f"{way.name}: a step with a LoRA of rank 32 on every matrix ÷ without",
        f"{worn / bare:.3f}×",
        note,
        {"step": bare, "step_with_lora": worn, "ratio": worn / bare},
    )


def _alike(way: Way, found: Found, other: Way, expected: Found) -> Iterator[Figure]:
    """Whether two ways give the same bytes."""
    for what, one, two in zip(("", ", with a LoRA"), found.digests, expected.digests, strict=True):
        yield _same(f"{way.name}: bytes of {other.name}{what}", same=one == two)


def _same(what: str, *, same: bool) -> Figure:
    return Figure(what, "yes" if same else "no", wrong=not same)


def _digest(painted: Painted) -> str:
    return painted.digest
