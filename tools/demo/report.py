"""How well the demo models paint, measured on the files that are shipped, by the bot's own engine.

    python -m tools.demo.report                 print it
    python -m tools.demo.report --write-readme  and put it into README.md and demo/README.md
    python -m tools.demo.report --quick         a tenth of the pictures

The prompts combine shape, colour and background as no training picture did. What is on a picture
is judged by geometry and colour alone (tools/demo/judge.py).
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from benchmarks import machine
from benchmarks.side_by_side import write_readme
from bot.engine import Engine
from bot.request import AdapterUse, GenerationRequest
from catalog import Catalog, read_catalog
from tools.demo import judge
from tools.demo.adapters import PLANS
from tools.demo.scenes import COLOURS, SHAPES, held_out

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = (ROOT / "README.md", ROOT / "demo" / "README.md")
PICTURES: Final = 208
STEPS: Final = 20
WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    goal: str


class Painter:
    """Paints by the bot's engine, one request at a time."""

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self._engine = engine
        self._catalog = catalog
        self.seconds: list[float] = []

    def paint(self, prompt: str, seed: int, model: str = "demo", **fields: Any) -> Image.Image:
        """128×128 with the model's own settings but for `fields`."""
        entry = self._catalog.models[model]
        request = GenerationRequest(
            **{
                "prompt": prompt,
                "negative": "",
                "model": model,
                "steps": STEPS,
                "guidance": entry.guidance.default,
                "seed": seed,
                "width": 128,
                "height": 128,
                "scheduler": entry.scheduler,
                **fields,
            }
        )
        began = time.perf_counter()
        painting = self._engine.paint(request, self._catalog, lambda _: None, lambda: None)
        self.seconds.append(time.perf_counter() - began)
        return painting.images[0].image


def prompts(number: int) -> list[tuple[str, str, str]]:
    """(shape, colour, background), none of which was in a training picture together."""
    unseen = [
        (shape, colour, ground)
        for shape in SHAPES
        for colour in COLOURS
        for ground in COLOURS
        if colour != ground and held_out(shape, colour, ground)
    ]
    random.Random(0).shuffle(unseen)
    return (unseen * (1 + number // len(unseen)))[:number]


def say(shape: str, colour: str, ground: str) -> str:
    """The prompt for it."""
    return f"{_a(colour)} {shape} on {_a(ground)} background"


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeio' else 'a'} {word}"


def understanding(painter: Painter, number: int) -> Iterator[Row]:
    """Whether shapes and colours are those of the prompt."""
    right = {"colour": 0, "background": 0, "shape": 0}
    for seed, (shape, colour, ground) in enumerate(prompts(number)):
        image = painter.paint(say(shape, colour, ground), seed)
        found = judge.things(image)
        right["background"] += judge.colour_name(judge.ground(image)) == ground
        if found:
            right["colour"] += judge.colour_of(image, found[0]) == colour
            right["shape"] += judge.shape_of(found[0]) == shape
    names = {
        "colour": ("The shape has the colour that was asked for", "≥ 95 %"),
        "background": ("The background has the colour that was asked for", "≥ 95 %"),
        "shape": ("The shape is the one that was asked for", "≥ 90 %"),
    }
    for key, (what, goal) in names.items():
        yield Row(
            f"{what} ({number} unseen combinations × seeds)", _share(right[key], number), goal
        )


def negatives(painter: Painter, number: int) -> Iterator[Row]:
    """Whether a negative prompt takes a thing away."""
    kept = {"": 0, "frame": 0}
    starred = {"": 0, "star": 0}
    for seed in range(number):
        for negative in kept:
            framed = "a red circle on a blue background with a frame"
            image = painter.paint(framed, seed, negative=negative)
            kept[negative] += judge.colour_name(judge.ground(image)) != "blue"
        for negative in starred:
            both = painter.paint(
                "a green star and a yellow circle on a black background", seed, negative=negative
            )
            shapes = [judge.shape_of(mask) for mask in judge.things(both)]
            starred[negative] += "star" in shapes
    yield Row(
        "“… with a frame” has one; with the negative prompt “frame”",
        f"{_share(kept[''], number)}; {_share(kept['frame'], number)}",
        "visibly fewer",
    )
    yield Row(
        "“a green star and a yellow circle …” has a star; with the negative prompt “star”",
        f"{_share(starred[''], number)}; {_share(starred['star'], number)}",
        "visibly fewer",
    )


def strengths(painter: Painter, number: int) -> Iterator[Row]:
    """What guidance, the other checkpoint and each adapter change, in levels of 255 a pixel."""
    told = [(seed, say(*words)) for seed, words in enumerate(prompts(number))]
    plain = [painter.paint(prompt, seed) for seed, prompt in told]
    yield Row(
        "Guidance 1 against 8",
        _levels(
            distance(painter.paint(p, s, guidance=1.0), painter.paint(p, s, guidance=8.0))
            for s, p in told
        ),
        "visible",
    )
    yield Row(
        "`demo-ink` against `demo`, same seed",
        _levels(
            distance(painter.paint(p, s, "demo-ink"), image)
            for (s, p), image in zip(told, plain, strict=True)
        ),
        "visible",
    )
    for plan in PLANS:
        means = []
        for weight in WEIGHTS:
            worn: dict[str, Any] = {
                "adapters": (AdapterUse(plan.style, weight),),
                "trigger_words": (plan.trigger,),
            }
            apart = [
                distance(painter.paint(p, s, **worn), image)
                for (s, p), image in zip(told, plain, strict=True)
            ]
            means.append(statistics.fmean(apart))
        kind = {"": "LoRA", "lokr": "LoKr", "loha": "LoHa", "locon": "LoCon"}[plan.algo]
        at = ", ".join(f"{weight:g}" for weight in WEIGHTS)
        yield Row(
            f"Adapter `{plan.style}` ({kind}) at {at} against none",
            ", ".join(f"{mean:.1f}" for mean in means),
            "grows with the weight",
        )


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures, in levels of 255."""
    a, b = (np.asarray(image).astype(float) for image in (one, other))
    return float(np.abs(a - b).mean())


def _levels(distances: Iterator[float]) -> str:
    return f"{statistics.fmean(distances):.1f} of 255"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


@contextmanager
def opened() -> Iterator[Painter]:
    """The engine with the shipped models, on the CPU."""
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary)
        engine = Engine(models_dir=models, hashes_file=models / "hashes.json", device="cpu")
        engine.warm_up()
        yield Painter(engine, read_catalog(ROOT / "catalog", models, demos="default"))


def table(rows: list[Row], seconds: float, machine: str) -> str:
    """Markdown of all lines."""
    lines = ["| What | Measured | Goal |", "|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.goal} |" for row in rows]
    lines.append(f"| {STEPS} steps at 128×128 | {seconds:.2f} s | ≤ 2 s |")
    return "\n".join([*lines, "", machine, ""])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write-readme", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    number = PICTURES // 10 if options.quick else PICTURES
    with opened() as painter:
        painter.paint("a red star on a blue background", 0)
        painter.seconds.clear()
        rows = list(understanding(painter, number))
        median = statistics.median(painter.seconds)
        rows += negatives(painter, number // 8)
        rows += strengths(painter, number // 8)
    written = table(
        rows,
        median,
        f"Measured by `make demo-model-report` on {machine.describe()}, {options.threads} threads.",
    )
    print(written)
    if options.write_readme:
        for file in FILES:
            write_readme("demo-model", written, file)


if __name__ == "__main__":
    main()
