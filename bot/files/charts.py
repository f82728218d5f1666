"""A chart of figures, as an image that reads well on light and dark backgrounds alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from unicodedata import category

import PIL.Image
from PIL import ImageDraw

from bot.files.sheets.lettering import Colour, Lettering

WIDTH: Final = 900
MARGIN: Final = 40
TILES_TOP: Final = 142
TILE_HEIGHT: Final = 120
LABEL_SIZES: Final = (20, 19, 18, 17, 16)
BARS_TOP: Final = 336
BARS_HEIGHT: Final = 250
GROUP_TOP: Final = 680
GROUP_ROW: Final = 56
ROWS_MAX: Final = 5
LABELS_MAX: Final = 7
SHARPER: Final = 2
"""It is drawn this much larger, for smooth edges."""

PAPER: Final[Colour] = (30, 31, 34)
CARD: Final[Colour] = (43, 45, 49)
INK: Final[Colour] = (242, 243, 245)
DIM: Final[Colour] = (168, 174, 184)
LINE: Final[Colour] = (62, 65, 71)
BAR: Final[Colour] = (124, 135, 255)
OTHER: Final[Colour] = (87, 202, 158)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn; every text in the person's language.

    tiles: large figures and what they are. days: a number for each day; day_labels: their names.
    groups: lists of names with numbers, the greatest first. empty: stands for a list without any.
    """

    title: str
    subtitle: str
    tiles: Sequence[tuple[str, str]]
    days_title: str
    days: Sequence[int]
    day_labels: Sequence[str]
    groups: Sequence[tuple[str, Sequence[tuple[str, int]]]]
    empty: str


class _Canvas:
    """Draws in the units of the finished image."""

    def __init__(self, height: int) -> None:
        size = (WIDTH * SHARPER, height * SHARPER)
        self.image = PIL.Image.new("RGB", size, PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def box(self, corners: tuple[float, float, float, float], colour: Colour, round_: int) -> None:
        scaled = [round(value * SHARPER) for value in corners]
        if scaled[2] > scaled[0] and scaled[3] > scaled[1]:
            self._draw.rounded_rectangle(scaled, round_ * SHARPER, fill=colour)

    def text(
        self, text: str, at: tuple[float, float], size: int, colour: Colour, align: float = 0
    ) -> None:
        """One line, centred vertically. align: 0 from the left, 0.5 centred, 1 from the right."""
        lettering = Lettering(size * SHARPER)
        x, y = at[0] * SHARPER, at[1] * SHARPER
        x += lettering.width(text) * (0.5 - align)
        lettering.draw(self._draw, [text], (x, y), colour)

    def cut(self, text: str, size: int, width: float) -> str:
        """As much of `text` as fits into one line."""
        return next(iter(Lettering(size * SHARPER).wrapped(text, width * SHARPER, 1)), "")


def draw_chart(chart: Chart) -> bytes:
    """As a PNG file. Blocks for a tenth of a second."""
    rows = max((min(ROWS_MAX, len(names)) for _, names in chart.groups), default=0)
    height = GROUP_TOP + 30 + max(1, rows) * GROUP_ROW + MARGIN // 2
    canvas = _Canvas(height)
    title = "".join(each for each in chart.title if category(each) not in ("So", "Sk", "Cf"))
    canvas.text(canvas.cut(title, 44, WIDTH - 2 * MARGIN), (MARGIN, 62), 44, INK)
    canvas.text(chart.subtitle, (MARGIN, 106), 24, DIM)
    _draw_tiles(canvas, chart.tiles)
    _draw_days(canvas, chart)
    _draw_groups(canvas, chart)
    buffer = BytesIO()
    finished = canvas.image.resize((WIDTH, height), PIL.Image.Resampling.LANCZOS)
    finished.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_tiles(canvas: _Canvas, tiles: Sequence[tuple[str, str]]) -> None:
    gap = 16
    width = (WIDTH - 2 * MARGIN - gap * (len(tiles) - 1)) / max(1, len(tiles))
    size = label_size([label for _, label in tiles], width - 30)
    for n, (figure, label) in enumerate(tiles):
        left = MARGIN + n * (width + gap)
        canvas.box((left, TILES_TOP, left + width, TILES_TOP + TILE_HEIGHT), CARD, 16)
        canvas.text(canvas.cut(figure, 42, width - 40), (left + 18, TILES_TOP + 44), 42, INK)
        canvas.text(canvas.cut(label, size, width - 30), (left + 18, TILES_TOP + 90), size, DIM)


def label_size(labels: Sequence[str], width: float) -> int:
    """The largest size of LABEL_SIZES at which each of these fits into one line of `width`; the
    smallest if none is small enough."""
    *sizes, smallest = LABEL_SIZES
    for size in sizes:
        lettering = Lettering(size * SHARPER)
        if all(lettering.width(label) <= width * SHARPER for label in labels):
            return size
    return smallest


def _draw_days(canvas: _Canvas, chart: Chart) -> None:
    canvas.text(chart.days_title, (MARGIN, BARS_TOP - 24), 26, INK)
    top, bottom = BARS_TOP + 16, BARS_TOP + 16 + BARS_HEIGHT
    most = nice(max(chart.days, default=0))
    left = MARGIN + 64
    for part in range(3):
        y = bottom - part * BARS_HEIGHT / 2
        canvas.box((left, y - 0.75, WIDTH - MARGIN, y + 0.75), LINE, 0)
        canvas.text(f"{most * part // 2:,}".replace(",", "\u2009"), (left - 16, y), 20, DIM, 1)
    step = (WIDTH - MARGIN - left) / max(1, len(chart.days))
    thick = min(48.0, step * 0.72)
    every = math.ceil(len(chart.days) / LABELS_MAX)
    for n, value in enumerate(chart.days):
        middle = left + (n + 0.5) * step
        if value:
            tall = max(3.0, value / most * (bottom - top))
            corners = (middle - thick / 2, bottom - tall, middle + thick / 2, bottom)
            canvas.box(corners, BAR, min(6, round(thick / 4)))
            # Only the upper corners are round.
            canvas.box((corners[0], bottom - min(tall / 2, 8), corners[2], bottom), BAR, 0)
        # From the last on, so that today is always named.
        if (len(chart.days) - 1 - n) % every == 0:
            align = 1 if n == len(chart.days) - 1 and len(chart.days) > LABELS_MAX else 0.5
            x = WIDTH - MARGIN if align == 1 else middle
            canvas.text(chart.day_labels[n], (x, bottom + 26), 20, DIM, align)


def _draw_groups(canvas: _Canvas, chart: Chart) -> None:
    gap = 48
    width = (WIDTH - 2 * MARGIN - gap * (len(chart.groups) - 1)) / max(1, len(chart.groups))
    for n, (title, names) in enumerate(chart.groups):
        left, colour = MARGIN + n * (width + gap), (BAR, OTHER)[n % 2]
        canvas.text(title, (left, GROUP_TOP), 26, INK)
        if not names:
            canvas.text(chart.empty, (left, GROUP_TOP + 50), 22, DIM)
        most = max((count for _, count in names), default=1)
        for row, (name, count) in enumerate(names[:ROWS_MAX]):
            y = GROUP_TOP + 46 + row * GROUP_ROW
            canvas.text(canvas.cut(name, 22, width - 90), (left, y), 22, INK)
            figure = f"{count:,}".replace(",", "\u2009")
            canvas.text(figure, (left + width, y), 22, DIM, 1)
            canvas.box((left, y + 17, left + width, y + 25), CARD, 4)
            canvas.box((left, y + 17, left + max(8, width * count / most), y + 25), colour, 4)


def nice(most: int) -> int:
    """The end of an axis: an even round number that is no smaller."""
    if most <= 2:
        return 2
    unit = int(f"1{'0' * (len(str(most)) - 1)}")
    for times in (1, 2, 4, 5, 6, 8, 10):
        end = times * unit
        if end >= most and end % 2 == 0:
            return end
    return 20 * unit
