"""How far images are from those of full weights when the large matrices are in 8 bits.

`python -m benchmarks.eight_bits` generates the same requests with the built-in demo model in three
ways: as IMAGEN_DTYPE=float32 has it, with IMAGEN_WEIGHTS=int8, and in bfloat16, a difference that
people know. Without a LoRA and with each of the demo's, for several seeds. The distance is the peak
signal-to-noise ratio to the first in dB: 40 can hardly be seen, 20 is another picture of the same.
It prints a table, and returns 1 when the median of a row with int8 is below LIMIT. `--write` puts
the table into docs/figures.md. `--quick` tests this script.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import PIL.Image
import PIL.ImageChops
import PIL.ImageStat

from benchmarks import machine
from benchmarks.page import FIGURES, write_into
from bot.engine import Engine
from bot.order import order_of
from bot.request import AdapterUse, Draft, GenerationRequest, compose
from bot.settings import Settings
from catalog import Catalog, read_catalog
from catalog.locate import BUILTIN

FULL: Final = "float32"
INT8: Final = "int8"
BFLOAT16: Final = "bfloat16"
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    FULL: {"dtype": "float32", "weights": "full"},
    INT8: {"dtype": "float32", "weights": "int8"},
    BFLOAT16: {"dtype": "bfloat16", "weights": "full"},
}
LIMIT: Final = 30.0
"""dB that the median of each row must reach with int8."""
PROMPT: Final = "a red fox asleep in fresh snow"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Distances:
    """In dB to the images of full weights, one for each seed. adapter: the LoRA's key, or NONE."""

    adapter: str
    int8: tuple[float, ...]
    bfloat16: tuple[float, ...]


def psnr(one: PIL.Image.Image, other: PIL.Image.Image) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images."""
    squares = PIL.ImageStat.Stat(PIL.ImageChops.difference(one, other)).sum2
    error = sum(squares) / (len(squares) * one.width * one.height)
    return 10 * math.log10(255**2 / error) if error else math.inf


def painted(
    engine: Engine, requests: Sequence[GenerationRequest], catalog: Catalog
) -> list[PIL.Image.Image]:
    found = []
    for request in requests:
        painting = engine.paint(order_of(request, catalog), lambda _: None, lambda: None)
        found.append(painting.images[0].image)
    return found


def measure(
    engines: Mapping[str, Engine],
    requests: Mapping[str, Sequence[GenerationRequest]],
    offered: Catalog,
) -> list[Distances]:
    """requests: by the key of their LoRA."""
    rows = []
    for adapter, wanted in requests.items():
        images = {way: painted(engine, wanted, offered) for way, engine in engines.items()}
        apart = {way: tuple(map(psnr, images[FULL], images[way])) for way in (INT8, BFLOAT16)}
        rows.append(Distances(adapter, apart[INT8], apart[BFLOAT16]))
    return rows


def table(rows: Sequence[Distances]) -> str:
    """In Markdown: median, and the worst."""
    lines = ["| LoRA | int8, median (worst) | bfloat16, median (worst) |", "|---|---|---|"]
    lines += [f"| {row.adapter} | {_shown(row.int8)} | {_shown(row.bfloat16)} |" for row in rows]
    return "\n".join(lines)


def _shown(distances: Sequence[float]) -> str:
    return f"{statistics.median(distances):.1f} ({min(distances):.1f}) dB"


def faults(rows: Sequence[Distances]) -> list[str]:
    """The rows whose images are too far off."""
    return [
        f"{row.adapter}: {_shown(row.int8)}, less than {LIMIT:g} dB"
        for row in rows
        if statistics.median(row.int8) < LIMIT
    ]


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when a check failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/figures.md")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps, one LoRA")
    options = parser.parse_args(arguments)
    settings = Settings.load()
    catalog = read_catalog(settings.catalog_dir, settings.models_dir, demos="offered")
    draft = Draft(prompt=PROMPT, model="demo", steps=10 if options.quick else 30, size="192x128")
    plain = compose(replace(draft, seed=0), catalog, nsfw=True)
    keys = [key for key, entry in catalog.adapters.items() if entry.path.startswith(BUILTIN)]
    seeds = range(1 if options.quick else options.seeds)
    wanted: dict[str, Sequence[GenerationRequest]] = {}
    for key in (NONE, *keys[: 1 if options.quick else None]):
        uses = () if key == NONE else (AdapterUse(key, 0.8),)
        wanted[key] = [replace(plain, seed=seed, adapters=uses) for seed in seeds]
    engines = {
        way: Engine(
            models_dir=settings.models_dir,
            hashes_file=settings.hashes_file,
            device="cpu",
            **chosen,
        )
        for way, chosen in WAYS.items()
    }
    rows = measure(engines, wanted, catalog)
    for engine in engines.values():
        engine.close()
    print(f"machine: {machine.describe()}")
    print(table(rows))
    wrong = faults(rows)
    if options.write:
        write_into(FIGURES, "eight-bits", f"{table(rows)}\n\nMeasured on {machine.describe()}.")
    for fault in wrong:
        print(f"FAILED: {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
