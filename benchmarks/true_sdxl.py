"""Generate on the command line with a model of SDXL's true size and random weights.

`python -m benchmarks.true_sdxl` writes 6.9 GB of fp16 weights in the layout and architecture of
SDXL base 1.0 and two kohya LoRAs of 986 modules (`benchmarks/sdxl_weights.py`), then runs `main.py
imagine … --json` twice with the same request, each time in a separate process. It prints seconds
per stage, the recipe's hashes and device, and peak memory. It returns 1 if a run failed, if the two
files differ in a byte, or if the image is black or flat. On CUDA, or with `--switch`, one more
process generates with the model, with another one, and with the first again; its images must equal
those of a fresh process.

Included: starting Python, hashing, loading, LoRAs, every step, decoding, PNG. The stages are those
that the command shows on a terminal, here a pseudo-terminal; so "Loading" covers hashing and
loading, and the last LoRA or loading stage covers the text encoders. Not included: downloads,
Discord, and what trained weights would show – the images are noise. The first run hashes all
weights, the second reuses the stored hashes. Weights that were just written are in the page cache.

The owner's IMAGEN_DEVICE and IMAGEN_DTYPE apply; other settings are the benchmark's own. On a CPU,
fp32 took up to 19.5 GiB of memory (13 of them weights) and minutes per step; there, `--steps 1
--guidance 1 --lora 0` is enough. `--quick` (an eighth as wide) tests this script. Needs Linux or
macOS.
"""

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import PIL.Image
import PIL.ImageStat

from benchmarks import machine, sdxl_weights
from benchmarks.alone import alone
from benchmarks.sdxl_weights import LORAS, MODELS, Shape
from benchmarks.watched import RSS_UNIT, Watched, watch
from bot.backend import build_engine
from bot.order import order_of
from bot.progress import Progress, Stage
from bot.request import Draft, compose
from bot.settings import Settings
from catalog import read_catalog

MAIN: Final = Path(__file__).resolve().parent.parent / "main.py"
PROMPT: Final = "a red fox asleep in fresh snow"
SEED: Final = 7
FLAT: Final = 2.0
"""An image whose channels all have a smaller standard deviation than this (of 255) is flat."""
OWNERS: Final = ("IMAGEN_DEVICE", "IMAGEN_DTYPE")
NOT_MEASURED: Final = "not measured"


@dataclass(frozen=True, slots=True)
class Switched:
    """One of several images generated in one process; seconds from the request on."""

    model: str
    ready: float
    total: float
    pixels: str


def switch(
    home: Path, environment: dict[str, str], drafts: Sequence[Draft]
) -> tuple[list[Switched], int, int | None]:
    """Generate `drafts`; also peak RSS and, on CUDA, the most that torch reserved, in bytes.

    Runs in a separate process, whose environment it replaces.
    """
    os.chdir(home)
    os.environ.clear()
    os.environ.update(environment)
    settings = Settings.load()
    catalog = read_catalog(settings.catalog_dir, settings.models_dir)
    engine = build_engine(settings)
    engine.warm_up()
    paintings = []
    for draft in drafts:
        begin = time.monotonic()
        ready: list[float] = []

        def report(progress: Progress, since: float = begin, ready: list[float] = ready) -> None:
            if progress.stage is Stage.PAINTING:
                ready.append(time.monotonic() - since)

        request = compose(draft, catalog, nsfw=True)
        painting = engine.paint(order_of(request, catalog), report, lambda: None)
        total = time.monotonic() - begin
        pixels = painting.images[0].pixels_sha256
        paintings.append(Switched(request.model, ready[0], total, pixels))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    import torch

    reserved = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None
    return paintings, rss * RSS_UNIT, reserved


def problem_of(picture: PIL.Image.Image) -> str | None:
    """Why `picture` shows nothing; None if it shows something."""
    spread = max(PIL.ImageStat.Stat(picture).stddev)
    if not picture.getbbox():
        return "the image is black"
    return f"the image is flat: standard deviation {spread:.2f}" if spread < FLAT else None


class Benchmark:
    """Runs the whole benchmark; `faults` are the checks that failed."""

    def __init__(self, options: argparse.Namespace, shape: Shape, weights: Path, home: Path):
        self.faults: list[str] = []
        self._on_cuda = False
        self._options = options
        self._shape = shape
        self._weights = weights
        self._home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in OWNERS or not name.upper().startswith(("DISCORD_", "IMAGEN_"))
        }
        self._environment = {
            **kept,
            "IMAGEN_CATALOG_DIR": str(home / "catalog"),
            "IMAGEN_DATA_DIR": str(home / "data"),
            "IMAGEN_MODELS_DIR": str(home / "models"),
            "IMAGEN_JOB_TIMEOUT": "86400",
        }
        side = shape.side
        self._draft = Draft(
            prompt=PROMPT,
            model=MODELS[0],
            lora=", ".join(LORAS[: options.lora]) or None,
            steps=options.steps,
            guidance=options.guidance,
            seed=SEED,
            size=options.size or f"{side}x{side}",
        )

    def run(self) -> None:
        print(f"machine: {machine.describe()}")
        self._write_weights()
        first = self._paint(1)
        second = first and self._paint(2)
        if not first or not second:
            return
        same = first.read_bytes() == second.read_bytes()
        print(f"the two PNG files: {'byte-identical' if same else 'DIFFERENT'}")
        if not same:
            self.faults.append("the two PNG files differ")
        with PIL.Image.open(first) as picture:
            found = problem_of(picture)
            spread = ", ".join(f"{s:.1f}" for s in PIL.ImageStat.Stat(picture).stddev)
            pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        print(f"the image: standard deviations of its channels {spread} of 255")
        if found:
            self.faults.append(found)
        if self._on_cuda or self._options.switch:
            self._switch(pixels)

    def _write_weights(self) -> None:
        first, other = (
            sdxl_weights.model_folder(self._weights, self._shape, key) for key in MODELS
        )
        begin = time.monotonic()
        sdxl_weights.write_model(first, self._shape)
        sdxl_weights.write_other(other, first, self._shape)
        for number, key in enumerate(LORAS):
            file = sdxl_weights.lora_file(self._weights, self._shape, key)
            sdxl_weights.write_lora(file, self._shape, number)
        sdxl_weights.write_catalog(self._home / "catalog", self._weights, self._shape)
        seconds = time.monotonic() - begin
        size = sum(file.stat().st_size for file in first.rglob("*.safetensors")) / 1e9
        print(f"weights: {size:.3f} GB in {first}, written in {seconds:.1f} s")

    def _paint(self, number: int) -> Path | None:
        draft = self._draft
        command = [sys.executable, str(MAIN), "imagine", draft.prompt, "--json"]
        command += ["--model", str(draft.model), "--seed", str(draft.seed)]
        command += ["--steps", str(draft.steps), "--guidance", str(draft.guidance)]
        command += ["--size", str(draft.size)]
        for key in LORAS[: self._options.lora]:
            command += ["--lora", key]
        print(f"run {number}: {draft.size}, steps {draft.steps}, guidance {draft.guidance:g},")
        print(f"  LoRAs: {draft.lora or 'none'}", flush=True)
        watched = watch(command, self._environment, self._home)
        _print_watched(watched)
        if watched.code:
            self.faults.append(f"run {number}: main.py exited with {watched.code}")
        try:
            said = json.loads(watched.output)
        except ValueError:
            return None
        if said["error"]:
            print(f"  error: {said['error']['text']}")
        if said["status"] != "done":
            return None
        environment = said["recipe"]["environment"]
        self._on_cuda = environment["device"] == "cuda"
        print(f"  seconds as main.py reports them: {said['seconds']}")
        hashed = (said["recipe"]["checkpoint"], *said["recipe"]["adapters"])
        for weights in hashed:
            print(f"  sha256 of {weights['name']}: {weights['sha256']}")
        for name in ("device", "device_name", "dtype", "torch", "threads"):
            print(f"  {name}: {environment[name]}")
        return Path(said["images"][0]["path"])

    def _switch(self, pixels: str) -> None:
        drafts = [replace(self._draft, model=key) for key in (*MODELS, MODELS[0])]
        paintings, rss, reserved = alone(switch, self._home, self._environment, drafts)
        print("model switch, one process, seconds from the request on:")
        for painting in paintings:
            print(
                f"  {painting.model}: first step begins after {painting.ready:.2f} s,"
                f" image after {painting.total:.2f} s"
            )
        print(f"  peak RSS {_gib(rss)}; GPU memory reserved by torch {_gib(reserved)}")
        first, other, again = (painting.pixels for painting in paintings)
        if {first, again} != {pixels}:
            self.faults.append("after a switch the images are not those of a fresh process")
        if other == pixels:
            self.faults.append("the other model generated the first one's image")


def _print_watched(watched: Watched) -> None:
    for label, parts in watched.stages:
        each = f"  ({', '.join(f'{part:.1f}' for part in parts)})" if len(parts) > 1 else ""
        print(f"  {sum(parts):8.1f} s  {label}{each}")
    print(f"  {watched.seconds:8.1f} s  in total")
    print(f"  peak RSS {_gib(watched.rss)} including mapped weight files;", end=" ")
    print(f"without them {_gib(watched.anonymous)} (sampled)")
    print(f"  GPU memory by nvidia-smi, including CUDA's own: {_gib(watched.gpu_bytes)}")


def _gib(count: int | None) -> str:
    return NOT_MEASURED if count is None else f"{count / 2**30:.2f} GiB"


def grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--size", metavar="WxH", help="(default 1024x1024)")
    parser.add_argument("--lora", type=int, choices=range(len(LORAS) + 1), default=1, help="count")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write weights there, or use them")
    parser.add_argument("--quick", action="store_true", help="an eighth as wide, 128x128")
    parser.add_argument("--switch", action="store_true", help="test switching without CUDA too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when a check failed."""
    options = grammar().parse_args(arguments)
    shape = sdxl_weights.QUICK if options.quick else sdxl_weights.TRUE
    with tempfile.TemporaryDirectory(prefix="imagen-sdxl-") as folder:
        weights = (options.keep or Path(folder) / "weights").absolute()
        benchmark = Benchmark(options, shape, weights, Path(folder))
        benchmark.run()
    for fault in benchmark.faults:
        print(f"FAILED: {fault}")
    return 1 if benchmark.faults else 0


if __name__ == "__main__":
    sys.exit(main())
