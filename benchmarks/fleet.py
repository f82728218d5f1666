"""Simulate up to a thousand cards and a million users a day, and measure the scheduler itself.

`python -m benchmarks.fleet` runs the bot's own policy over simulated cards (see
benchmarks/fleet_day.py for what is assumed, and what is taken from where), and the same jobs in
plain first-come-first-served order and with a card drawn at random for each. No clock is involved
there, so these figures are the same on every machine. Then it measures how much processor time a
decision takes with up to a million jobs waiting, and how much memory a job. `--quick` is a small
part of it; `--write` puts the tables into docs/figures.md and the curve into docs/img.

A user's waiting time is the mean over their jobs. The Jain index is taken over what part of the
time from asking to the image each user was served: 1 is the same for all.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet_cost import Busy, Cost
from benchmarks.fleet_day import Shape, draw
from benchmarks.fleet_picture import Curve
from benchmarks.fleet_picture import draw as draw_curves
from benchmarks.fleet_run import SCHEDULERS, Outcome, near, simulate
from benchmarks.machine import describe
from benchmarks.page import FIGURES, write_into

PICTURE = FIGURES.parent / "img" / "fleet.png"
SHAPES = (
    Shape(1, 2_000, 24),
    Shape(5, 10_000, 24),
    Shape(50, 100_000, 1),
    Shape(500, 1_000_000, 0.15),
    Shape(1_000, 1_000_000, 0.15),
)
OVERLOADED = Shape(50, 160_000, 0.4)
QUICK = (Shape(1, 400, 3), Shape(20, 20_000, 0.2))
WAITING = (100, 1_000, 10_000, 100_000, 1_000_000)
MEMORY_AT = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """One shape under each scheduler."""

    shape: Shape
    jobs: int
    outcomes: dict[str, Outcome]


def run(shape: Shape, seed: int) -> Run:
    asks = draw(shape, seed)
    outcomes = {name: simulate(shape, asks, make, seed) for name, make in SCHEDULERS.items()}
    return Run(shape, len(asks), outcomes)


MEASURES: tuple[tuple[str, Callable[[Outcome], float], str], ...] = (
    ("a user waits, p50", lambda outcome: outcome.by_user(0.5), ",.1f"),
    ("… p95", lambda outcome: outcome.by_user(0.95), ",.1f"),
    ("… p99", lambda outcome: outcome.by_user(0.99), ",.1f"),
    ("Jain index", lambda outcome: outcome.fairness, ".3f"),
    ("model switches", lambda outcome: outcome.switches, ",.0f"),
    ("working", lambda outcome: outcome.used, ".0%"),
)


def tables(runs: Iterable[Run]) -> str:
    """In Markdown: the bot's figures, each with its ratio to the two others."""
    head = " | ".join(name if unit != ",.1f" else f"{name} (s)" for name, _, unit in MEASURES)
    lines = [f"| cards | users a day | jobs | {head} |", "|---" * (3 + len(MEASURES)) + "|"]
    for each in runs:
        cells = [f"{each.shape.cards:,}", f"{each.shape.users:,}", f"{each.jobs:,}"]
        for _, figure, unit in MEASURES:
            ours = figure(each.outcomes["ours"])
            others = [figure(each.outcomes[name]) for name in ("in order", "at random")]
            ratios = " / ".join(_ratio(ours, other) for other in others)
            cells.append(f"{format(ours, unit)} ({ratios})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(ours: float, other: float) -> str:
    return f"{ours / other:.2f}×" if other else "–"


def looking_further(shape: Shape, seed: int) -> str:
    """What it changes that the policy looks further where there are more cards, in words."""
    asks = draw(shape, seed)
    far, near_ = (simulate(shape, asks, make, seed) for make in (SCHEDULERS["ours"], near))
    changes = ", ".join(
        f"{name} {_ratio(figure(far), figure(near_))}"
        for name, figure in (
            ("model switches", lambda outcome: float(outcome.switches)),
            ("a user's waiting time p50", lambda outcome: outcome.by_user(0.5)),
            ("p95", lambda outcome: outcome.by_user(0.95)),
            ("p99", lambda outcome: outcome.by_user(0.99)),
        )
    )
    return (
        f"With {shape.users:,} users a day, too many for {shape.cards} cards, up to {far.waiting:,}"
        f" jobs wait at once. There, looking 32 jobs ahead for each card, and not 32 in all,"
        f" makes: {changes}."
    )


def costs(waiting: Sequence[int], decisions: int) -> list[Cost]:
    """Of lines of these lengths with one lane and with a thousand, alike and not."""
    found = []
    for number in waiting:
        line = Busy(number, memory=number == min(MEMORY_AT, max(waiting)))
        for lanes, mixed in ((1, False), (1_000, False), (1_000, True)):
            found.append(line.measure(lanes, mixed=mixed, decisions=decisions))
    return found


def cost_table(found: Sequence[Cost]) -> str:
    """In Markdown, with how much of the least each is."""
    lines = [
        "| jobs waiting | 1 lane | 1,000 lanes | 1,000 lanes, half able to run half of the jobs |",
        "|---|---|---|---|",
    ]
    for number in sorted({cost.waiting for cost in found}):
        cells = []
        for lanes, mixed in ((1, False), (1_000, False), (1_000, True)):
            alike = [cost for cost in found if (cost.lanes, cost.mixed) == (lanes, mixed)]
            [cost] = [cost for cost in alike if cost.waiting == number]
            ratio = cost.microseconds / alike[0].microseconds
            cells.append(f"{cost.microseconds:,.0f} µs ({ratio:.2f}×)")
        lines.append(f"| {number:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def saturation(found: Sequence[Cost]) -> str:
    """Where the scheduler is the bottleneck, in words."""
    worst = max(cost.microseconds for cost in found)
    memory = next(cost for cost in found if cost.bytes is not None)
    idle = Busy(0).measure(1_000, mixed=False, decisions=1_000)
    return (
        f"At worst that is {1e6 / worst:,.0f} jobs a second of one core; with 1,000 free lanes and"
        f" nobody waiting, a job takes {idle.microseconds:,.0f} µs. A waiting job takes"
        f" {memory.bytes or 0:,.0f} bytes in the line, with {memory.waiting:,} waiting. Processor"
        f" time of one core, {describe()}; ratios are to the first row."
    )


def picture(found: Sequence[Cost]) -> bytes:
    """How the cost of a decision grows."""
    curves = []
    for name, lanes, mixed in (
        ("1 lane", 1, False),
        ("1,000 lanes", 1_000, False),
        ("1,000 mixed lanes", 1_000, True),
    ):
        alike = [cost for cost in found if (cost.lanes, cost.mixed) == (lanes, mixed)]
        curves.append(Curve(name, [(cost.waiting, cost.microseconds) for cost in alike]))
    return draw_curves(
        "A decision hardly costs more in a longer queue",
        "jobs waiting",
        "microseconds for a job that comes and starts",
        curves,
    )


def main(arguments: list[str] | None = None, image: Path = PICTURE) -> int:
    """Always returns 0: there are no goals. image: where `--write` puts the curve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put it into docs/")
    options = parser.parse_args(arguments)
    shapes = QUICK if options.quick else SHAPES
    waiting = WAITING[:2] if options.quick else WAITING
    text = tables(run(shape, options.seed) for shape in shapes)
    found = costs(waiting, 100 if options.quick else 2_000)
    text += (
        "\n\nIn brackets: ÷ first come, first served / ÷ a card drawn at random. Simulated, seed"
        f" {options.seed}, so it is the same on every machine.\n\n"
        f"{looking_further(shapes[-1] if options.quick else OVERLOADED, options.seed)}\n\n"
        f"{cost_table(found)}\n\n{saturation(found)}"
    )
    print(text)
    if options.write:
        write_into(FIGURES, "fleet", text)
        image.write_bytes(picture(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
