"""Measure everything worth knowing about this machine's GPU, in one call.

`python -m benchmarks.gpu --out DIR` makes two models of SDXL's true size with random weights, on
the device itself, and runs every row with them: requests, stages, adapters, switches, same bytes,
memory caps. DIR/gpu.json and the table, DIR/gpu.md, are rewritten after every figure; the table is
printed last, also when the call is told to stop. A row that fails, hangs or ends its process is
reported as such, and the others go on. It ends within eight minutes; what tells the least comes
last. `--compile` measures compiled code, in nine minutes of its own.

`--quick` tries it on any computer, with a model an eighth as wide. Returns 1 when a row failed or
found something broken. Does not import torch, except to run rows.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.gpu import book, card, worker
from benchmarks.gpu.call import beside, broken, stop_by_interrupt, weights_folder
from benchmarks.gpu.rows import COMPILED, ROWS, chosen, planned
from benchmarks.gpu.supervisor import Supervisor

ROOM: Final = 24 * 2**30
"""Bytes of two models, ten LoRAs and an IP-Adapter."""
BUDGET: Final = 480.0
COMPILING: Final = 540.0
TRYING: Final = 3600.0
"""Seconds for all rows: of a call, of one that compiles, and of one with `--quick`."""
PATIENCE: Final = 10.0
"""With `--quick`, how much longer than on an H200 a row may take."""


def grammar() -> argparse.ArgumentParser:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="an eighth as wide, on any computer")
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--weights", type=Path, help="where to keep the 7 GB a model (temporary)")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each after the warm-up")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument("--memory", default="auto", help="auto, full, 16gb, 11gb or 8gb")
    parser.add_argument("--compile", action="store_true", help="the rows that compile, alone")
    parser.add_argument("--budget", type=float, help="seconds in all")
    parser.add_argument("--worker", nargs="+", metavar="ROW", help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, print, and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = grammar()
    options = parser.parse_args(given)
    if options.worker:
        _serve(options)
        return 0
    stop_by_interrupt()
    rows = chosen(compiled=options.compile)
    if other := set(options.only or ()) - {row.name for row in rows}:
        parser.error(
            f"{', '.join(sorted(other))}: {'without' if options.compile else 'only with'} --compile"
        )
    rows = tuple(row for row in rows if not options.only or row.name in options.only)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = card.describe() | {"planned": f"{planned(rows):.0f} s"}
    folder = options.weights or weights_folder(ROOM)
    small = ["--steps", "2", "--repeat", "1"] if options.quick else []
    usual = TRYING if options.quick else COMPILING if options.compile else BUDGET
    command = [sys.executable, "-m", "benchmarks.gpu", *small, *given, "--weights", str(folder)]
    supervisor = Supervisor(
        rows,
        lambda names: [*command, "--worker", *names],
        lambda so_far: _keep(options.out, facts, so_far),
        budget=usual if options.budget is None else options.budget,
        patience=PATIENCE if options.quick else 1.0,
        # Rows that compile find each other's code, whatever the engine would choose.
        environment={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(folder.absolute() / "kernels"),
        },
        card=card.now,
    )
    try:
        supervisor.run()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:
        # First, in case that nobody waits until gigabytes are removed.
        print(_keep(options.out, facts, supervisor), flush=True)
        if options.weights is None:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(beside(options.out), ignore_errors=True)
    return 1 if broken(supervisor.rows, supervisor.outcomes) else 0


def _serve(options: argparse.Namespace) -> None:
    worker.end_with_supervisor()
    output = worker.own_output()

    from benchmarks import sdxl_weights
    from benchmarks.bench_model import KEYS
    from benchmarks.gpu import context

    options.shape = sdxl_weights.QUICK if options.quick else sdxl_weights.TRUE
    # Candidates are compared with eager code, so theirs is not the engine that compiles.
    extra = {"compiled": True} if COMPILED in options.worker else {}
    worker.serve(ROWS, options.worker, partial(context.opened, options, KEYS, **extra), output)


def _keep(out: Path, facts: dict[str, str], so_far: Supervisor) -> str:
    return book.write(out, facts | so_far.facts, so_far.rows, so_far.outcomes)


if __name__ == "__main__":
    sys.exit(main())
