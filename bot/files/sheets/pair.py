"""Two results beside each other, on one image."""

from io import BytesIO
from pathlib import Path
from typing import Final

import PIL.Image
from PIL import ImageDraw

from bot.files.sheets.drawing import INK, PAPER
from bot.files.sheets.lettering import Lettering

HEIGHT_MAX: Final = 1_024
WIDTH_MAX: Final = 4_096
"""Of each of the two: a WebP file takes no more than 16,383 pixels."""
QUALITY: Final = 90
GAP: Final = 16
LETTERS: Final = 28
NAMES: Final = ("A", "B")


def draw_pair(paths: tuple[Path, Path]) -> bytes | None:
    """As a WebP file, of the same height unless one is too wide for that, below the letters A
    and B; None if a file is missing
    or damaged. Blocks."""
    try:
        pictures = [_opened(path) for path in paths]
    except (OSError, SyntaxError, ValueError):
        return None
    height = min(HEIGHT_MAX, max(picture.height for picture in pictures))
    fitted = [_within(picture, height) for picture in pictures]
    height = max(picture.height for picture in fitted)
    lettering = Lettering(LETTERS)
    top = GAP + lettering.line
    width = sum(picture.width for picture in fitted) + 3 * GAP
    sheet = PIL.Image.new("RGB", (width, top + height + GAP), PAPER)
    canvas, left = ImageDraw.Draw(sheet), GAP
    for name, picture in zip(NAMES, fitted, strict=True):
        middle = (left + picture.width / 2, top / 2)
        lettering.draw(canvas, [name], middle, INK)
        sheet.paste(picture, (left, top + (height - picture.height) // 2))
        left += picture.width + GAP
    buffer = BytesIO()
    sheet.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _opened(path: Path) -> PIL.Image.Image:
    with PIL.Image.open(path) as image:
        return image.convert("RGB")


def _within(picture: PIL.Image.Image, height: int) -> PIL.Image.Image:
    """With that height, or as wide as it may be."""
    factor = min(height / picture.height, WIDTH_MAX / picture.width)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture if size == picture.size else picture.resize(size, PIL.Image.Resampling.LANCZOS)
