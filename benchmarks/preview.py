"""Measure what previews cost: the same job without them, as often as in the bot, and at every step.

`python -m benchmarks.preview` interleaves the three kinds, rotating the order every round, after a
warm-up job of each. Seconds are the median of a kind's jobs. A ratio compares a kind's job with the
job without previews, as the median over the rounds: by wall-clock time, and by CPU time, which
other programs on the machine disturb less. Measured is everything from the request to the image in
RAM, with the model already loaded. Returns 1 if the images differ in a byte, if a preview is
missing, or if one was sent when none was wanted.

The default is the built-in demo model at 192x128 with 100 steps; its steps are far cheaper than
SDXL's, so a preview weighs more. `--model KEY` uses another model of the owner's catalog; `--model
true-sdxl` writes random weights of SDXL's true size (see benchmarks/true_sdxl.py; `--keep` keeps
them). The owner's IMAGEN_DEVICE, IMAGEN_DTYPE and IMAGEN_MEMORY apply. `--quick` tests this script.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import machine, sdxl_weights
from bot.backend import build_engine
from bot.chat.delivery.status import EDIT_INTERVAL
from bot.engine import Engine
from bot.order import order_of
from bot.progress import Progress
from bot.request import Draft, GenerationRequest, compose
from bot.settings import Settings
from catalog import Catalog, read_catalog

DEMO: Final = "demo"
GOAL: Final = 1.02
NONE: Final = "none"
EVERY_STEP: Final = "at every step"
AS_THE_BOT: Final = f"every {EDIT_INTERVAL:g} s, as the bot"
INTERVALS: Final[dict[str, float | None]] = {
    NONE: None,
    AS_THE_BOT: EDIT_INTERVAL,
    EVERY_STEP: 0.0,
}


@dataclass(slots=True)
class Measured:
    """The jobs of one kind, in the order of the rounds.

    seconds: wall-clock time. cpu: seconds of CPU time of the whole process. previews: sizes in
    bytes.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    pixels: set[str] = field(default_factory=set)
    previews: list[int] = field(default_factory=list)

    def ratio(self, to: "Measured") -> float:
        """By wall-clock time."""
        return _ratio(self.seconds, to.seconds)

    def cpu_ratio(self, to: "Measured") -> float:
        return _ratio(self.cpu, to.cpu)


def _ratio(these: Sequence[float], those: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def measure(
    engine: Engine, request: GenerationRequest, catalog: Catalog, rounds: int
) -> dict[str, Measured]:
    """Generate `request` in `rounds` rounds of each kind, after one more to warm up."""
    kinds = list(INTERVALS)
    for kind in kinds:
        _paint(engine, kind, request, catalog, Measured())
    measured = {kind: Measured() for kind in kinds}
    for number in range(rounds):
        first = number % len(kinds)
        for kind in (*kinds[first:], *kinds[:first]):
            _paint(engine, kind, request, catalog, measured[kind])
    return measured


def _paint(
    engine: Engine, kind: str, request: GenerationRequest, catalog: Catalog, into: Measured
) -> None:
    def report(progress: Progress) -> None:
        if progress.preview is not None:
            into.previews.append(len(progress.preview))

    engine.preview_interval = INTERVALS[kind]
    begin, cpu = time.perf_counter(), time.process_time()
    painting = engine.paint(order_of(request, catalog), report, lambda: None)
    into.seconds.append(time.perf_counter() - begin)
    into.cpu.append(time.process_time() - cpu)
    into.pixels.update(image.pixels_sha256 for image in painting.images)


def table(measured: dict[str, Measured]) -> str:
    """One row per kind, in Markdown."""
    rows = ["| previews | seconds a job | ratio | CPU ratio | previews a job | bytes each |"]
    rows.append("|---|---|---|---|---|---|")
    for kind, found in measured.items():
        seconds = statistics.median(found.seconds)
        ratios = f"{found.ratio(measured[NONE]):.4f} | {found.cpu_ratio(measured[NONE]):.4f}"
        count = len(found.previews) / len(found.seconds)
        size = f"{statistics.mean(found.previews):.0f}" if found.previews else "–"
        rows.append(f"| {kind} | {seconds:.3f} | {ratios} | {count:.1f} | {size} |")
    return "\n".join(rows)


def faults(measured: dict[str, Measured]) -> list[str]:
    """What is wrong, regardless of the machine's speed."""
    found = []
    if len(set().union(*(one.pixels for one in measured.values()))) != 1:
        found.append("the images differ")
    if not measured[EVERY_STEP].previews or measured[NONE].previews:
        found.append("previews were missing, or were sent when none were wanted")
    return found


def grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEMO, metavar="KEY", help=f"(default {DEMO})")
    parser.add_argument("--steps", type=int, help="(default 30)")
    parser.add_argument("--size", metavar="WxH", help="(default the model's)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write weights there, or use them")
    parser.add_argument("--quick", action="store_true", help="two rounds of a small job")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when a check failed."""
    options = grammar().parse_args(arguments)
    if options.quick:
        options.steps, options.size, options.rounds = 10, "128x128", 2
    if options.model == DEMO:
        options.steps, options.size = options.steps or 100, options.size or "192x128"
    settings = Settings.load()
    with tempfile.TemporaryDirectory(prefix="imagen-preview-") as folder:
        catalog_dir = settings.catalog_dir
        if options.model in sdxl_weights.MODELS:
            shape = sdxl_weights.QUICK if options.quick else sdxl_weights.TRUE
            weights = (options.keep or Path(folder) / "weights").absolute()
            sdxl_weights.write_model(
                sdxl_weights.model_folder(weights, shape, options.model), shape
            )
            catalog_dir = Path(folder) / "catalog"
            sdxl_weights.write_catalog(catalog_dir, weights, shape)
        catalog = read_catalog(catalog_dir, settings.models_dir, demos="offered")
        draft = Draft(
            prompt="a red fox asleep in fresh snow",
            model=options.model,
            steps=options.steps or 30,
            size=options.size,
            seed=7,
        )
        engine = build_engine(settings)
        request = compose(draft, catalog, nsfw=True)
        measured = measure(engine, request, catalog, options.rounds)
        report = engine.device_report()
        engine.close()
    print(f"machine: {machine.describe()}")
    print(f"device: {report.name}, {report.dtype}")
    size = f"{request.width}x{request.height}"
    print(f"job: {request.model}, {size}, {request.steps} steps; {options.rounds} rounds")
    print(table(measured))
    met = measured[AS_THE_BOT].ratio(measured[NONE]) <= GOAL
    print(f"goal, as the bot: at most {GOAL}: {'met' if met else 'missed'}")
    for fault in faults(measured):
        print(f"FAILED: {fault}")
    return 1 if faults(measured) else 0


if __name__ == "__main__":
    sys.exit(main())
