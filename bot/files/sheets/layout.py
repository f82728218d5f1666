"""Where everything is on a sheet: pure arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.files.sheets.lettering import Lettering

PIXELS_MAX: Final = 16_000_000
SIDE_MAX: Final = 8_192
COLUMN_MIN: Final = 192
"""Pixels of a column at least, so that its label can be read."""
LINES: Final = 3
LETTERS_MIN: Final = 14

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A grid of equal cells with labels.

    box: the space for each image, which is centred in it. left: the width of the labels of rows; 0
    if there are none. header: the height of the labels above each column; in a sheet of one axis,
    above each row of images too, because every image has a label of its own.
    """

    columns: int
    rows: int
    box: Size
    left: int
    header: int
    gap: int
    lettering: Lettering
    every_row: bool

    @property
    def size(self) -> Size:
        headers = self.rows if self.every_row else 1
        return (
            self.left + self.columns * (self.box[0] + self.gap) + self.gap,
            headers * self.header + self.rows * (self.box[1] + self.gap) + self.gap,
        )

    def corner(self, column: int, row: int) -> tuple[int, int]:
        """The upper left corner of a cell's box."""
        headers = row + 1 if self.every_row else 1
        return (
            self.left + self.gap + column * (self.box[0] + self.gap),
            self.gap + headers * self.header + row * (self.box[1] + self.gap),
        )


def layout(images: Sequence[Size], columns: Sequence[str], rows: Sequence[str]) -> Layout:
    """The largest layout within PIXELS_MAX and SIDE_MAX in which no image is enlarged.

    images: the size of each cell's. columns: their labels; without rows, each cell's own label.
    """
    low, high = 0.0, 1.0
    found = laid_out(images, columns, rows, 1.0)
    if _fits(found.size):
        return found
    for _ in range(12):
        middle = (low + high) / 2
        found = laid_out(images, columns, rows, middle)
        low, high = (middle, high) if _fits(found.size) else (low, middle)
    return laid_out(images, columns, rows, low)


def laid_out(
    images: Sequence[Size], columns: Sequence[str], rows: Sequence[str], scale: float
) -> Layout:
    """The layout with every image scaled by `scale`, 0–1."""
    width, height = (max(1, round(max(sides) * scale)) for sides in zip(*images, strict=True))
    box = (max(COLUMN_MIN, width), height)
    across = len(columns) if rows else _squarish(len(columns), box)
    lettering = Lettering(_letters(box[0], across))
    gap = max(4, box[0] // 64)
    lines = max(len(lettering.wrapped(label, box[0], LINES)) for label in columns)
    left = 0
    if rows:
        most = box[0] * 0.75
        words = (line for label in rows for line in lettering.wrapped(label, most, LINES))
        left = math.ceil(max(map(lettering.width, words))) + 2 * gap
    return Layout(
        columns=across,
        rows=len(rows) or math.ceil(len(columns) / across),
        box=box,
        left=left,
        header=lines * lettering.line + gap,
        gap=gap,
        lettering=lettering,
        every_row=not rows,
    )


def _letters(width: int, across: int) -> int:
    """The size of the labels. A chat shows the whole sheet small, and they should still be read."""
    return max(LETTERS_MIN, width // 22, min(width // 9, width * across // 48))


def _squarish(count: int, box: Size) -> int:
    """How many columns make the whole nearly square; up to four stay in a line."""
    if count <= 4:
        return count
    return min(
        range(2, count + 1),
        key=lambda n: (abs(math.log(n * box[0] / (math.ceil(count / n) * box[1]))), n),
    )


def _fits(size: Size) -> bool:
    return math.prod(size) <= PIXELS_MAX and max(size) <= SIDE_MAX
