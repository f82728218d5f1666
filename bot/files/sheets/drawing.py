"""Draws the sheet of a comparison."""

import errno
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import PIL.Image
from PIL import ImageDraw

from bot.files.metadata import compress_png
from bot.files.sheets.layout import LINES, Layout, Size, laid_out, layout
from bot.files.sheets.lettering import Colour, Lettering
from bot.request import Axis, GenerationRequest, cells

BYTES_MAX: Final = 10 * 1024 * 1024 - 128 * 1024
"""Of a sheet's pixels as PNG: what Discord takes as an attachment, less the texts in the file."""
SAMPLE: Final = 0.25
"""The scale at which is tried how well the sheet can be compressed."""
PAPER: Final[Colour] = (30, 31, 34)
INK: Final[Colour] = (242, 243, 245)
EMPTY: Final[Colour] = (49, 51, 56)
FAILED: Final[Colour] = (240, 160, 150)
_FORMS: Final = {"steps": "{} steps", "guidance": "guidance {}", "seed": "seed {}"}


@dataclass(frozen=True, slots=True)
class Failed:
    """A cell without an image. reason: a sentence; "" if it is not there yet."""

    reason: str = ""


MISSING: Final = Failed("Its file is missing or damaged.")

Content = Path | PIL.Image.Image | Failed
"""What is in a cell: an image, in a file or in memory, or nothing."""


def label(axis: Axis, value: str) -> str:
    """What is written beside a column, a row or a cell, in no language."""
    if axis.subject:
        return f"{axis.subject} {value}"
    return _FORMS.get(axis.name, "{}").format(value)


def draw_sheet(request: GenerationRequest, contents: Sequence[Content]) -> PIL.Image.Image:
    """The sheet, small enough for one attachment on Discord. contents: of each cell, in order.

    The same contents give the same pixels. A file that cannot be read counts as failed if it is
    missing or damaged; raises OSError for anything else.
    """
    columns, rows = labels(request)
    sizes = [cell.request.final_size for cell in cells(request)]
    found = layout(sizes, columns, rows)
    whole = _scale(sizes, found)
    # A smaller one compresses worse by the pixel, so this is on the safe side.
    sample = _drawn(request, laid_out(sizes, columns, rows, whole * SAMPLE), contents)
    per_pixel = len(compress_png(sample)) / math.prod(sample.size)
    expected = per_pixel * math.prod(found.size)
    if expected > BYTES_MAX:
        whole *= math.sqrt(BYTES_MAX / expected)
        found = laid_out(sizes, columns, rows, whole)
    sheet = _drawn(request, found, contents)
    while (taken := len(compress_png(sheet))) > BYTES_MAX:
        whole *= 0.95 * math.sqrt(BYTES_MAX / taken)
        sheet = _drawn(request, laid_out(sizes, columns, rows, whole), contents)
    return sheet


def labels(request: GenerationRequest) -> tuple[list[str], list[str]]:
    """Of the columns and of the rows; with one axis, of every cell, and of no row."""
    axes = request.comparison.axes if request.comparison else ()
    both = [[label(axis, value) for value in axis.values] for axis in axes]
    return both[0], both[1] if len(both) > 1 else []


def _scale(sizes: Sequence[Size], found: Layout) -> float:
    """How much its images are scaled in a layout."""
    return min(1.0, found.box[1] / max(height for _, height in sizes))


def _drawn(
    request: GenerationRequest, found: Layout, contents: Sequence[Content]
) -> PIL.Image.Image:
    columns, rows = labels(request)
    sheet = PIL.Image.new("RGB", found.size, PAPER)
    canvas = ImageDraw.Draw(sheet)
    width, height = found.box
    for n, text in enumerate(columns):
        column, row = n % found.columns, n // found.columns
        x, y = found.corner(column, row)
        middle = (x + width / 2, y - (found.header - found.gap) / 2 - found.gap)
        found.lettering.draw(canvas, _lines(found.lettering, text, width), middle, INK)
    for row, text in enumerate(rows):
        beside = (found.left + found.gap) / 2, found.corner(0, row)[1] + height / 2
        found.lettering.draw(canvas, _lines(found.lettering, text, found.left), beside, INK)
    scale = _scale([cell.request.final_size for cell in cells(request)], found)
    for n, content in enumerate(contents):
        _fill(sheet, canvas, found, n, _opened(content), scale)
    return sheet


def _lines(lettering: Lettering, text: str, width: float) -> list[str]:
    return lettering.wrapped(text, width, LINES)


def _opened(content: Content) -> PIL.Image.Image | Failed:
    if not isinstance(content, Path):
        return content
    try:
        with PIL.Image.open(content) as image:
            return image.convert("RGB")
    except (SyntaxError, ValueError):
        return MISSING
    except OSError as error:
        # Pillow's own, about what a file contains, have no number. Those of a disk are passed on.
        if error.errno not in (None, errno.ENOENT):
            raise
        return MISSING


def _fill(
    sheet: PIL.Image.Image,
    canvas: ImageDraw.ImageDraw,
    found: Layout,
    n: int,
    content: PIL.Image.Image | Failed,
    scale: float,
) -> None:
    x, y = found.corner(n % found.columns, n // found.columns)
    width, height = found.box
    if isinstance(content, Failed):
        canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=EMPTY)
        if content.reason:
            small = Lettering(max(12, width // 16))
            lines = small.wrapped(content.reason, width * 0.9, max(1, height // small.line - 1))
            small.draw(canvas, lines, (x + width / 2, y + height / 2), FAILED)
        return
    size = tuple(max(1, round(side * scale)) for side in content.size)
    fitted = (
        content
        if content.size == size
        else content.resize((size[0], size[1]), PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)
    )
    sheet.paste(fitted, (x + (width - size[0]) // 2, y + (height - size[1]) // 2))
