"""Measure the model families beside SDXL on this machine's GPU, in one call.

`python -m benchmarks.gpu.families --out DIR` makes one model of each family, of its true size with
random weights, on the device itself: FLUX.2 klein, Z-Image, Anima, SD 1.5, and whichever other is
named (`--family chroma`), for which there is no time beside them. With each it measures
requests against the stock pipeline; whether the same bytes come out whole, parked, streamed and
twice, and what a LoRA costs a step; whether it fits on cards of 8, 11 and 16 GB, under caps of
torch's allocator; and whether numbers stay finite in float16. The files of a family are removed
before the next one's are made: 20 GiB at most, 26 of Chroma, 32 of FLUX.1
and 33 of Krea 2, in RAM if there is room.

DIR/families.json and the table, DIR/families.md, are rewritten after every figure; the table is
printed last, also when the call is told to stop. A row that fails, hangs or ends its process is
reported as such, and the others go on. It ends within eight minutes. It takes a card with 24 GB and
64 GiB of RAM; on a smaller one, rows fail that compare with the whole model on the device.

`--quick` tries it on any computer, with tiny models. Returns 1 when a row failed or found something
broken. Does not import torch, except to run rows.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu import book, card, worker
from benchmarks.gpu.call import broken, stop_by_interrupt, weights_folder
from benchmarks.gpu.families.rows import MEASURES, PLANNED, USUAL, planned, rows_of
from benchmarks.gpu.row import Outcome, Row
from benchmarks.gpu.supervisor import Supervisor

NAME: Final = "families"
ROOM: Final = 35 * 2**30
"""Bytes of the largest model and its LoRA."""
BUDGET: Final = 480.0
TRYING: Final = 3600.0
"""Seconds for all rows: of a call, and of one with `--quick`."""
STARTING: Final = 240.0
"""Seconds for a process to write, hash and load a model."""
PATIENCE: Final = 10.0
"""With `--quick`, how much longer than on an H200 a row may take."""


def grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument("--quick", action="store_true", help="tiny models, to try the script")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=MEASURES,
        default=list(MEASURES),
        metavar="ROW",
        help=", ".join(MEASURES),
    )
    parser.add_argument(
        "--family",
        nargs="+",
        choices=PLANNED,
        default=list(USUAL),
        metavar="KEY",
        help=", ".join(PLANNED),
    )
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--weights", type=Path, help="where to keep the models (temporary)")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each after the warm-up")
    parser.add_argument("--budget", type=float, help="seconds in all")
    parser.add_argument("--worker", nargs="+", metavar="ROW", help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, print, and return the exit code."""
    options = grammar().parse_args(arguments)
    chosen = {key: rows_of(key, options.only) for key in PLANNED if key in options.family}
    rows = tuple(row for each in chosen.values() for row in each)
    if options.worker:
        _serve(options, rows)
        return 0
    stop_by_interrupt()
    options.out.mkdir(parents=True, exist_ok=True)
    run = _Run(options, rows)
    try:
        later = sum(planned(key, own) for key, own in chosen.items())
        for key, own in chosen.items():
            later -= planned(key, own)
            run.measure(key, own, later)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        # First, in case that nobody waits until gigabytes are removed.
        print(run.keep(), flush=True)
        if options.weights is None:
            shutil.rmtree(run.weights, ignore_errors=True)
    return 1 if broken(rows, run.outcomes) else 0


def _serve(options: argparse.Namespace, rows: Sequence[Row]) -> None:
    worker.end_with_supervisor()
    output = worker.own_output()

    from benchmarks.gpu.families import context

    worker.serve(rows, options.worker, partial(context.opened, options), output)


class _Run:
    """What was found so far: facts and outcomes. weights: the folder for the models."""

    def __init__(self, options: argparse.Namespace, rows: Sequence[Row]) -> None:
        self._options = options
        self._rows = rows
        usual = TRYING if options.quick else BUDGET
        self._until = time.monotonic() + (usual if options.budget is None else options.budget)
        self.weights: Path = options.weights or weights_folder(ROOM)
        self.outcomes: dict[str, Outcome] = {}
        self.facts: dict[str, Any] = {**card.describe()}

    def measure(self, family: str, rows: Sequence[Row], later: float) -> None:
        """Run the rows of one family in what time `later` leaves, the seconds of those to come."""
        left = self._until - time.monotonic()
        supervisor = Supervisor(
            rows,
            lambda names: [*self._command(family), "--worker", *names],
            lambda so_far: self.keep(so_far),
            budget=max(left - later, 0.0),
            starting=STARTING,
            patience=PATIENCE if self._options.quick else 1.0,
            environment={**os.environ, "HF_HUB_OFFLINE": "1"},
            card=card.now,
        )
        try:
            supervisor.run()
        finally:
            self._take(supervisor)
            if self._options.weights is None:
                for path in self.weights.glob(f"{family}*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def keep(self, supervisor: Supervisor | None = None) -> str:
        """Write everything that was found so far; returns the table."""
        if supervisor:
            self._take(supervisor)
        return book.write(self._options.out, self.facts, self._rows, self.outcomes, NAME)

    def _take(self, supervisor: Supervisor) -> None:
        self.outcomes |= supervisor.outcomes
        self.facts |= supervisor.facts

    def _command(self, family: str) -> list[str]:
        options = self._options
        return [
            *(sys.executable, "-m", "benchmarks.gpu.families"),
            *("--out", str(options.out)),
            *(["--quick"] if options.quick else []),
            *("--family", family),
            *("--device", options.device),
            *("--weights", str(self.weights)),
            *("--repeat", "1" if options.quick else str(options.repeat)),
        ]


if __name__ == "__main__":
    sys.exit(main())
