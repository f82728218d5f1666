"""Compare the whole engine with plain diffusers: requests, switches, memory, exactness.

`python -m benchmarks.engine` writes two models in SDXL's architecture with random weights, loads
them in our engine and in plain StableDiffusionXLPipelines, and measures both alternately: one
request from prompt to image, and a switch to the other model with one step, from RAM and from a
cold disk. It counts the steps that begin after a cancellation, compares our image with plain
diffusers', and compares our own bytes: generated twice, after other models and adapters, and by a
new engine. On CUDA, `--cap 9.3` limits torch to that many GiB and runs the hardest case of an 11 GB
card: four LoRAs of rank 128, another VAE and an IP-Adapter at 1024×1024 and 1216×832; then plain
diffusers under the same cap. `--cap 7` stands for an 8 GB card: below 8, our engine uses the
profile of such a card. `--only compile` measures how long compiling takes, from scratch and from
disk in a new process, what it gains, and that fifty switches recompile nothing.

`--only` selects rows: `request` (and whether the images are alike), `switch`, `cancel`, `exact`,
`cold`, `cap`, `compile`; the default is all but the last two. Each line is printed as soon as it is
measured. `--weights` keeps the models for the next run.

Plain means `from_pretrained(…, torch_dtype=torch.float16).to("cuda")` with its defaults. Times are
medians of `--repeat` runs after a warm-up. Returns 1 when bytes differ that must be equal, when our
image differs from plain diffusers', or when a cancelled job went on. `--quick` uses a model an
eighth as wide.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks import bench_model, machine
from benchmarks.bench_model import KEYS, RAM, Bench
from benchmarks.engine.caps import CAP, under_a_cap
from benchmarks.engine.cold import cold, in_memory
from benchmarks.engine.compiling import compiled
from benchmarks.engine.exactness import exact
from benchmarks.engine.requests import requested
from benchmarks.engine.stopping import cancelled
from benchmarks.engine.switching import switch
from benchmarks.side_by_side import Line, tidy

COMPILE: Final = "compile"
ROWS: Final[Mapping[str, Callable[[Bench, argparse.Namespace], Iterable[Line]]]] = {
    "request": requested,
    "switch": lambda bench, options: switch(bench, options.repeat),
    "cancel": lambda bench, _: [cancelled(bench)],
    "exact": lambda bench, options: [exact(bench, options)],
    "cold": lambda bench, options: [cold(bench, options)],
    "cap": lambda bench, options: under_a_cap(bench, options.cap or CAP),
}
OPTIONAL: Final = ("cap", COMPILE)
BOTH_MODELS: Final = {"switch", "exact", "cold"}


def run(options: argparse.Namespace) -> Iterator[Line]:
    """The selected rows, one at a time."""
    wanted = set(options.only or ROWS.keys() - OPTIONAL)
    if options.cap:
        wanted.add("cap")
    if "cold" in wanted and in_memory(options.weights):
        sys.exit(
            f"{options.weights} is on a file system in RAM, where no file is cold;"
            " pass --weights with a folder on a disk"
        )
    if rows := [ROWS[name] for name in ROWS if name in wanted]:
        keys = KEYS if wanted & BOTH_MODELS else KEYS[:1]
        with bench_model.opened(options, keys, model_cache=RAM, memory=options.memory) as bench:
            bench.paint(bench.request(steps=1))
            for row in rows:
                yield from row(bench, options)
                tidy()
    if COMPILE in wanted:
        yield from compiled(options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = bench_model.arguments(str(__doc__), (*ROWS, COMPILE))
    parser.add_argument("--cap", type=float, help=f"GiB that torch may reserve ({CAP}, CUDA)")
    parser.add_argument("--memory", default="auto", help="auto, full, 16gb, 11gb or 8gb")
    options = parser.parse_args(arguments)
    print(f"{machine.describe()}, {options.shape.name}\n")
    lines = bench_model.measure(options, run)
    return 1 if any(line.fails for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
