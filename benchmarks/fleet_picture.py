"""Curves on two logarithmic axes, as an image that reads well on light and dark pages alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Final

import PIL.Image
from PIL import ImageDraw

from bot.files.sheets.lettering import Colour, Lettering

WIDTH: Final = 900
HEIGHT: Final = 480
LEFT, RIGHT, TOP, BOTTOM = 96, WIDTH - 250, 96, HEIGHT - 84
SHARPER: Final = 2
"""It is drawn this much larger, for smooth edges."""
PAPER: Final[Colour] = (30, 31, 34)
INK: Final[Colour] = (242, 243, 245)
DIM: Final[Colour] = (168, 174, 184)
LINE: Final[Colour] = (62, 65, 71)
COLOURS: Final[tuple[Colour, ...]] = ((124, 135, 255), (87, 202, 158), (240, 178, 90))


@dataclass(frozen=True, slots=True)
class Curve:
    """name: what it shows. points: of positive numbers, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(title: str, across: str, up: str, curves: Sequence[Curve]) -> bytes:
    """As a PNG file. across, up: what the axes show."""
    image = PIL.Image.new("RGB", (WIDTH * SHARPER, HEIGHT * SHARPER), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    across_axis, up_axis = _Axis.over(xs, LEFT, RIGHT), _Axis.over(ys, BOTTOM, TOP)
    pen.text(title, (LEFT, 40), 28, INK)
    pen.text(up, (LEFT, 74), 18, DIM)
    pen.text(across, (RIGHT, HEIGHT - 28), 18, DIM, align=1)
    for value in up_axis.ticks:
        y = up_axis.at(value)
        pen.line([(LEFT, y), (RIGHT, y)], LINE, 1.5)
        pen.text(_short(value), (LEFT - 14, y), 18, DIM, align=1)
    for value in across_axis.ticks:
        x = across_axis.at(value)
        pen.line([(x, TOP), (x, BOTTOM)], LINE, 1.5)
        pen.text(_short(value), (x, BOTTOM + 24), 18, DIM, align=0.5)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        points = [(across_axis.at(x), up_axis.at(y)) for x, y in curve.points]
        pen.line(points, colour, 4)
        for point in points:
            pen.dot(point, colour)
        pen.dot((RIGHT + 30, TOP + 16 + 34 * number), colour)
        pen.text(curve.name, (RIGHT + 46, TOP + 16 + 34 * number), 18, INK)
    buffer = BytesIO()
    image.resize((WIDTH, HEIGHT), PIL.Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class _Axis:
    """Whole powers of ten from `low` to `high`, between two places on the image."""

    low: int
    high: int
    begin: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float) -> "_Axis":
        low = math.floor(math.log10(min(values)))
        return cls(low, max(low + 1, math.ceil(math.log10(max(values)))), begin, end)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)


class _Pen:
    """Draws in the units of the finished image."""

    def __init__(self, canvas: ImageDraw.ImageDraw) -> None:
        self._canvas = canvas

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        for (x, y), (to_x, to_y) in pairwise(points):
            corners = (x * SHARPER, y * SHARPER, to_x * SHARPER, to_y * SHARPER)
            self._canvas.line(corners, colour, round(width * SHARPER))

    def dot(self, point: tuple[float, float], colour: Colour) -> None:
        x, y, reach = point[0] * SHARPER, point[1] * SHARPER, 6 * SHARPER
        self._canvas.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def text(
        self, text: str, at: tuple[float, float], size: int, colour: Colour, align: float = 0
    ) -> None:
        """One line, centred vertically. align: 0 from the left, 0.5 centred, 1 from the right."""
        lettering = Lettering(size * SHARPER)
        x = at[0] * SHARPER + lettering.width(text) * (0.5 - align)
        lettering.draw(self._canvas, [text], (x, at[1] * SHARPER), colour)


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} million"
    return f"{value:,g}"
