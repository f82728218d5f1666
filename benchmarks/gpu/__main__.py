"""Measure everything worth knowing about this machine's GPU, in one call.

`python -m benchmarks.gpu --out DIR` makes two models of SDXL's true size with random weights, on
the device itself, and runs every row with them: requests, stages, adapters, switches, same bytes,
memory caps. DIR/gpu.json is rewritten after every row; DIR/gpu.md is the table, printed last. A
row that fails, hangs or ends its process is reported as such, and the others go on. Planned for
eight minutes on an H200; `--compile` measures compiled code, which takes minutes of its own.

`--quick` tries it on any computer, with a model an eighth as wide. Returns 1 when a row failed or
found something broken.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import bench_model, sdxl_weights
from benchmarks.bench_model import KEYS
from benchmarks.gpu import book, card, context, worker
from benchmarks.gpu.call import beside, broken, stop_by_interrupt, weights_folder
from benchmarks.gpu.row import Row
from benchmarks.gpu.rows import COMPILED, all_rows, chosen, planned
from benchmarks.gpu.supervisor import Supervisor

ROOM: Final = 24 * 2**30
"""Bytes of two models, ten LoRAs and an IP-Adapter."""
BUDGET: Final = 560.0
COMPILING: Final = 1800.0
TRYING: Final = 3600.0
"""Seconds for all rows: of a call, of one that compiles, and of one with `--quick`."""
PATIENCE: Final = 10.0
"""With `--quick`, how much longer than on an H200 a row may take."""


def grammar(rows: Sequence[Row]) -> argparse.ArgumentParser:
    parser = bench_model.arguments(str(__doc__), [row.name for row in rows])
    parser.set_defaults(repeat=2)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument("--memory", default="auto", help="auto, full, 16gb, 11gb or 8gb")
    parser.add_argument("--compile", action="store_true", help="the rows that compile, alone")
    parser.add_argument("--budget", type=float, help="seconds in all")
    parser.add_argument("--worker", nargs="+", metavar="ROW", help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, print, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    everything = all_rows()
    parser = grammar(everything)
    options = parser.parse_args(given)
    if options.worker:
        # Candidates are compared with eager code, so theirs is not the engine that compiles.
        extra = {"compiled": True} if COMPILED.name in options.worker else {}
        opened = partial(context.opened, options, KEYS, **extra)
        worker.serve(everything, options.worker, opened, worker.own_output())
        return 0
    rows = chosen(everything, compiled=options.compile)
    if other := set(options.only or ()) - {row.name for row in rows}:
        parser.error(
            f"{', '.join(sorted(other))}: {'without' if options.compile else 'only with'} --compile"
        )
    rows = tuple(row for row in rows if not options.only or row.name in options.only)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = card.describe() | {"planned": f"{planned(rows):.0f} s"}
    folder = options.weights or weights_folder(ROOM)
    quick = options.shape is sdxl_weights.QUICK
    small = ["--steps", "2", "--repeat", "1"] if quick else []
    usual = TRYING if quick else COMPILING if options.compile else BUDGET
    command = [sys.executable, "-m", "benchmarks.gpu", *small, *given, "--weights", str(folder)]
    supervisor = Supervisor(
        rows,
        lambda names: [*command, "--worker", *names],
        lambda so_far: _keep(options.out, facts, so_far),
        budget=usual if options.budget is None else options.budget,
        patience=PATIENCE if quick else 1.0,
        environment={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    # Stopped early, it still writes the table and removes the models.
    stop_by_interrupt()
    try:
        supervisor.run()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        if options.weights is None:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(beside(options.out), ignore_errors=True)
    _keep(options.out, facts, supervisor)
    text = book.table(facts | supervisor.facts, rows, supervisor.outcomes)
    book.write_table(options.out, text)
    print(text)
    return 1 if broken(supervisor.rows, supervisor.outcomes) else 0


def _keep(out: Path, facts: dict[str, str], so_far: Supervisor) -> None:
    book.write_json(out, facts | so_far.facts, so_far.rows, so_far.outcomes)


if __name__ == "__main__":
    sys.exit(main())
