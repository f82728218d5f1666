"""The sheet as far as it is filled, small, while its job runs."""

from io import BytesIO
from typing import Final

import PIL.Image

from bot.request import GenerationRequest

SIDE: Final = 640
"""Pixels of its longer side at most."""
QUALITY: Final = 80
GAP: Final = 4
PAPER: Final = (30, 31, 34)
EMPTY: Final = (49, 51, 56)


class FilledSheet:
    """Small pictures of the cells that are there. Without labels, which could not be read."""

    def __init__(self, request: GenerationRequest) -> None:
        comparison = request.comparison
        self._columns = comparison.columns if comparison else 1
        rows = comparison.rows if comparison else 1
        widths, heights = zip(*(cell.final_size for cell in request.each), strict=True)
        scale = SIDE / max(self._columns * max(widths), rows * max(heights))
        scale = min(1.0, scale)
        self._box = (max(1, round(max(widths) * scale)), max(1, round(max(heights) * scale)))
        size = (self._columns * (self._box[0] + GAP), rows * (self._box[1] + GAP))
        self._sheet = PIL.Image.new("RGB", size, PAPER)
        for n in range(len(request.each)):
            self._sheet.paste(EMPTY, (*self._corner(n), *self._end(n)))

    def put(self, n: int, image: PIL.Image.Image) -> None:
        """The cell `n` is there."""
        self._paste(self._sheet, n, image)

    def jpeg(self, n: int = 0, unfinished: bytes | None = None) -> bytes:
        """The sheet, with a preview of the cell `n` as it is being generated, if there is one."""
        sheet = self._sheet
        if unfinished is not None:
            sheet = sheet.copy()
            with PIL.Image.open(BytesIO(unfinished)) as image:
                self._paste(sheet, n, image.convert("RGB"))
        buffer = BytesIO()
        sheet.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()

    def _paste(self, sheet: PIL.Image.Image, n: int, image: PIL.Image.Image) -> None:
        scale = min(box / side for box, side in zip(self._box, image.size, strict=True))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        left, top = self._corner(n)
        at = (left + (self._box[0] - size[0]) // 2, top + (self._box[1] - size[1]) // 2)
        sheet.paste(image.resize(size, PIL.Image.Resampling.BICUBIC, reducing_gap=2.0), at)

    def _corner(self, n: int) -> tuple[int, int]:
        column, row = n % self._columns, n // self._columns
        return column * (self._box[0] + GAP), row * (self._box[1] + GAP)

    def _end(self, n: int) -> tuple[int, int]:
        left, top = self._corner(n)
        return left + self._box[0], top + self._box[1]
