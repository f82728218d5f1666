"""The squares that an image is divided into, to say which part of it is meant."""

from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Final

import PIL.Image
from PIL import ImageDraw

from bot.files.sheets.drawing import INK, PAPER
from bot.files.sheets.lettering import Lettering

COLUMNS: Final = "ABCD"
ROWS: Final = "1234"
SQUARES: Final = tuple(f"{column}{row}" for row in ROWS for column in COLUMNS)
"""The names of the squares, line by line: A1, B1, … D4."""
SIDE: Final = 1_024
"""Pixels of the longer side of the picture with the names."""
QUALITY: Final = 85
LETTERS: Final = 40
LINE: Final = 2

Size = tuple[int, int]
Rectangle = tuple[int, int, int, int]


def draw_grid(path: Path) -> bytes:
    """The image in a file with lines around its squares, and the name of each, as a WebP file.

    Raises OSError, SyntaxError or ValueError for one that cannot be read. Blocks.
    """
    with PIL.Image.open(path) as image:
        picture = image.convert("RGB")
    scale = SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(size, PIL.Image.Resampling.LANCZOS)
    canvas, lettering = ImageDraw.Draw(picture), Lettering(LETTERS)
    # Light within dark, so that one of the two stands out against anything.
    for colour, beyond in ((PAPER, LINE), (INK, 0)):
        for left, top, _, _ in (_rectangle(name, size) for name in SQUARES):
            down = (left - LINE // 2 - beyond, 0, left + LINE // 2 - 1 + beyond, size[1])
            across = (0, top - LINE // 2 - beyond, size[0], top + LINE // 2 - 1 + beyond)
            for line, inside in ((down, left), (across, top)):
                if inside:
                    canvas.rectangle(line, colour)
    for name in SQUARES:
        left, top, _, _ = _rectangle(name, size)
        wide, high = round(lettering.width(name)) + LETTERS // 2, lettering.line
        canvas.rectangle((left, top, left + wide, top + high), PAPER)
        lettering.draw(canvas, [name], (left + wide / 2, top + high / 2), INK)
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def draw_mask(squares: Collection[str], size: Size) -> bytes:
    """A grey PNG of `size`: the named squares are white, all else is black. Blocks."""
    mask = PIL.Image.new("L", size)
    for name in squares:
        left, top, right, bottom = _rectangle(name, size)
        mask.paste(255, (left, top, right, bottom))
    buffer = BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def _rectangle(name: str, size: Size) -> Rectangle:
    """Left, top, right and bottom of a square; the last two are beyond it. Squares leave no gap."""
    column, row = COLUMNS.index(name[0]), ROWS.index(name[1])
    across = [round(size[0] * n / len(COLUMNS)) for n in (column, column + 1)]
    down = [round(size[1] * n / len(ROWS)) for n in (row, row + 1)]
    return across[0], down[0], across[1], down[1]
