"""Measure how good the demo models are, with the shipped files and the bot's own engine.

    python -m tools.demo.report          print the report
    python -m tools.demo.report --write  and put it into docs/figures.md and demo/README.md
    python -m tools.demo.report --quick  a tenth of the images

The prompts combine shape, colour and background as no training image did. The images are judged by
geometry and colour alone (tools/demo/judge.py). Exits with 1 when a goal is missed.
"""

import argparse
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from benchmarks import machine
from benchmarks.page import FIGURES, write_into
from bot.request import AdapterUse
from tools.demo import judge
from tools.demo.adapters import PLANS
from tools.demo.controlnet import drawing, edges_of
from tools.demo.painter import ROOT, STEPS, Painter, opened
from tools.demo.pictures.scenes import COLOURS, SHAPES, held_out
from tools.demo.upscaler import halved, psnr, unseen
from tools.demo.words import COULEURS, NOMS, NOUNS, PLACE_WORDS

PAGES: Final = (FIGURES, ROOT / "demo" / "README.md")
PICTURES: Final = 208
WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0)
SECONDS: Final = 2.0
SEED_OF_UNSEEN: Final = 1
VISIBLE: Final = 4.0
"""Mean difference per pixel, in levels of 255, that is visible."""
STYLED: Final = 8.0
"""Mean difference per pixel, in levels of 255, of another style."""
AT_EDGES: Final = ("pixel",)
"""Styles that change what lies along edges and leave areas as they are; they need to be visible."""
FOLLOWING: Final = (0.0, 0.5, 1.0)
"""Weights of the ControlNet."""
FOLLOWED: Final = 0.8
"""F1 score of edges that lie where those of a drawing are."""
SHARPER: Final = 2.0
"""Decibels that the upscaler is better than bicubic interpolation."""

Words = tuple[str, str, str]
"""Shape, colour and background of a prompt."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; met is None where there is no goal."""

    what: str
    measured: str
    goal: str = "–"
    met: bool | None = None


def prompts(number: int) -> list[Words]:
    """Combinations that no training image had."""
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
    """The prompt for a combination."""
    return f"{_a(colour)} {shape} on {_a(ground)} background"


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeio' else 'a'} {word}"


def say_in_french(shape: str, colour: str, ground: str) -> str:
    """The prompt in French."""
    noun, _, feminine = NOMS[shape][0]
    article = "une" if feminine else "un"
    return f"{article} {noun} {COULEURS[colour][feminine]} sur fond {COULEURS[ground][0]}"


def shares(
    painter: Painter,
    told: Sequence[Words],
    tell: Callable[[str, str, str], str] = say,
    model: str = "demo",
) -> dict[str, float]:
    """The share of images in which colour, background and shape are those of the prompt."""
    right = dict.fromkeys(("colour", "background", "shape"), 0)
    for seed, (shape, colour, ground) in enumerate(told):
        image = painter.paint(tell(shape, colour, ground), seed, model)
        found = judge.things(image)
        right["background"] += judge.colour_name(judge.ground(image)) == ground
        if found:
            right["colour"] += judge.colour_of(image, found[0]) == colour
            right["shape"] += judge.shape_of(found[0]) == shape
    return {key: count / len(told) for key, count in right.items()}


def understanding(painter: Painter, number: int) -> Iterator[Row]:
    """Whether shapes and colours are those of the prompt."""
    found = shares(painter, prompts(number))
    goals = {
        "colour": ("The shape has the requested colour", 0.95),
        "background": ("The background has the requested colour", 0.95),
        "shape": ("The shape is the requested one", 0.90),
    }
    for key, (what, goal) in goals.items():
        yield Row(
            f"{what} ({number} unseen combinations × seeds)",
            _percent(found[key]),
            f"≥ {goal:.0%}".replace("%", " %"),
            found[key] >= goal,
        )


def others(painter: Painter, number: int) -> Iterator[Row]:
    """The same in French, and by the other checkpoint."""
    told = prompts(number)
    for what, found in (
        (f"The same in French ({number})", shares(painter, told, say_in_french)),
        (f"The same by `demo-ink` ({number})", shares(painter, told, model="demo-ink")),
    ):
        yield Row(what, ", ".join(f"{key} {_percent(share)}" for key, share in found.items()))


def composition(painter: Painter, number: int) -> Iterator[Row]:
    """Whether count, place and size are those of the prompt."""
    right: Counter[str] = Counter()
    for seed, (shape, colour, ground) in enumerate(prompts(number)):
        behind = f"on {_a(ground)} background"
        count, plural = ("two", "three")[seed % 2], NOUNS[shape][0][1]
        image = painter.paint(f"{count} small {colour} {plural} {behind}", seed)
        right["count"] += len(judge.things(image)) == 2 + seed % 2
        place = ("left", "right", "top", "bottom")[seed % 4]
        image = painter.paint(f"{_a(colour)} {shape} {PLACE_WORDS[place][0]} {behind}", seed)
        right["place"] += any(_is_at(place, mask) for mask in judge.things(image)[:1])
        small, big = (
            sum(
                int(mask.sum())
                for mask in judge.things(
                    painter.paint(f"a {size} {colour} {shape} {behind}", seed)
                )[:1]
            )
            for size in ("small", "big")
        )
        right["size"] += 0 < 2 * small < big
    for key, what in (
        ("count", "“two small …” and “three small …” give that many"),
        ("place", "“… on the left”, right, at the top, bottom: it is in that place"),
        ("size", "“a big …” has more than twice the area of “a small …”"),
    ):
        yield Row(f"{what} ({number})", _percent(right[key] / number))


def _is_at(place: str, mask: judge.Mask) -> bool:
    x, y = judge.middle_of(mask)
    return {"left": x < 0.4, "right": x > 0.6, "top": y < 0.4, "bottom": y > 0.6}[place]


def negatives(painter: Painter, number: int) -> Iterator[Row]:
    """Whether a negative prompt removes what it names."""
    black = {"": 0, "black": 0}
    for seed in range(number):
        for negative in black:
            image = painter.paint("a star on a white background", seed, negative=negative)
            [star, *_] = judge.things(image)
            black[negative] += judge.colour_of(image, star) == "black"
    yield Row(
        "“a star on a white background” is black; the same with the negative prompt “black”"
        f" ({number})",
        f"{_percent(black[''] / number)}; {_percent(black['black'] / number)}",
        "at most half as many",
        0 < black[""] >= 2 * black["black"],
    )


def strengths(painter: Painter, number: int) -> Iterator[Row]:
    """How much guidance, the other checkpoint and each adapter change, in levels of 255."""
    told = [(seed, say(*words)) for seed, words in enumerate(prompts(number))]
    plain = [painter.paint(prompt, seed) for seed, prompt in told]
    yield _apart(
        "Guidance 1 against 8",
        VISIBLE,
        (
            distance(painter.paint(p, s, guidance=1.0), painter.paint(p, s, guidance=8.0))
            for s, p in told
        ),
    )
    yield _apart(
        "`demo-ink` against `demo`, same seed",
        STYLED,
        (
            distance(painter.paint(p, s, "demo-ink"), image)
            for (s, p), image in zip(told, plain, strict=True)
        ),
    )
    for plan in PLANS:
        # The trigger word alone changes the image too, so it is in both.
        bare = [painter.paint(p, s, trigger_words=(plan.trigger,)) for s, p in told]
        means = [0.0]
        for weight in WEIGHTS:
            worn: dict[str, Any] = {
                "adapters": (AdapterUse(plan.style, weight),),
                "trigger_words": (plan.trigger,),
            }
            apart = [
                distance(painter.paint(p, s, **worn), image)
                for (s, p), image in zip(told, bare, strict=True)
            ]
            means.append(statistics.fmean(apart))
        goal = VISIBLE if plan.style in AT_EDGES else STYLED
        kind = {"": "LoRA", "lokr": "LoKr", "loha": "LoHa", "locon": "LoCon"}[plan.algo]
        at = ", ".join(f"{weight:g}" for weight in WEIGHTS)
        yield Row(
            f"Adapter `{plan.style}` ({kind}) at {at} against none",
            ", ".join(f"{mean:.1f}" for mean in means[1:]),
            f"grows with the weight, to ≥ {goal:g} of 255",
            all(less < more for less, more in pairwise(means)) and means[-1] >= goal,
        )


def following(painter: Painter, number: int) -> Iterator[Row]:
    """How well edges lie where those of a drawing are, of the same shape as in the prompt."""
    drawings = [
        (seed, drawing(words[0], seed), say(*words)) for seed, words in enumerate(prompts(number))
    ]
    for model, goal in (("demo", FOLLOWED), ("demo-ink", None)):
        means = []
        for weight in FOLLOWING:
            alike = (
                judge.edges_alike(
                    edges_of(painter.follow(image, prompt, seed, weight, model)), edges_of(image)
                )
                for seed, image, prompt in drawings
            )
            means.append(statistics.fmean(alike))
        at = ", ".join(f"{weight:g}" for weight in FOLLOWING)
        yield Row(
            f"`controlnet` at {at} with `{model}`: edges to within 2 pixels where those of a"
            f" drawing are ({number}), F1",
            ", ".join(f"{mean:.2f}" for mean in means),
            "–" if goal is None else f"grows with the weight, to ≥ {goal:g}",
            None if goal is None else means == sorted(means) and means[-1] >= goal,
        )


def sharpness(painter: Painter, number: int) -> Iterator[Row]:
    """How close an image comes to the original once it was halved and is enlarged again."""
    pairs = [(image, halved(image)) for image in unseen(SEED_OF_UNSEEN, number)]
    ours = [psnr(painter.enlarge(small), image) for image, small in pairs]
    plain = [psnr(small.resize(i.size, Image.Resampling.BICUBIC), i) for i, small in pairs]
    median, usual = statistics.median(ours), statistics.median(plain)
    yield Row(
        f"`upscaler` on unseen images at half their size ({number}), PSNR",
        f"{median:.1f} dB, bicubic {usual:.1f} dB",
        f"≥ {SHARPER:g} dB more than bicubic",
        median >= usual + SHARPER,
    )


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two images, in levels of 255."""
    a, b = (np.asarray(image).astype(float) for image in (one, other))
    return float(np.abs(a - b).mean())


def _apart(what: str, goal: float, distances: Iterable[float]) -> Row:
    mean = statistics.fmean(distances)
    return Row(what, f"{mean:.1f} of 255", f"≥ {goal:g} of 255", mean >= goal)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def table(rows: list[Row], machine: str) -> str:
    """The rows and the machine in Markdown."""
    lines = ["| What | Measured | Goal |", "|---|---|---|"]
    for row in rows:
        missed = " **(missed)**" if row.met is False else ""
        lines.append(f"| {row.what} | {row.measured}{missed} | {row.goal} |")
    return "\n".join([*lines, "", machine, ""])


def main() -> int:
    """Returns 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    number = PICTURES // 10 if options.quick else PICTURES
    with opened() as painter:
        painter.paint("a red star on a blue background", 0)
        painter.seconds.clear()
        rows = list(understanding(painter, number))
        median = statistics.median(painter.seconds)
        rows += others(painter, number // 4)
        rows += composition(painter, number // 4)
        rows += negatives(painter, number // 8)
        rows += strengths(painter, number // 8)
        rows += following(painter, number // 8)
        rows += sharpness(painter, number // 4)
    what = f"{STEPS} steps at 128×128"
    rows.append(Row(what, f"{median:.2f} s", f"≤ {SECONDS:g} s", median <= SECONDS))
    written = table(
        rows,
        f"Measured by `make demo-model-report` on {machine.describe()}, {options.threads} threads.",
    )
    print(written)
    if options.write:
        for page in PAGES:
            write_into(page, "demo-model", written)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
