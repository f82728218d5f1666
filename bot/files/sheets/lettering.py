"""Text on images, with accents and in Chinese, Japanese and Korean.

Noto Sans has the letters of Latin, Greek and Cyrillic, Noto Sans CJK the rest; both are under the
SIL Open Font License 1.1 and come as packages. Each character is drawn with the one that has it.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from itertools import groupby
from typing import Final

from PIL import ImageDraw, ImageFont

from bot.request.unicode_text import storable, straight

_LETTERS: Final = ("fontpkg_noto_sans", "files/NotoSans[wdth,wght].ttf")
_IDEOGRAPHS: Final = ("noto_cjk_sans_jp_regular", "NotoSansCJKjp-Regular.otf")
_MORE: Final = "…"

Colour = tuple[int, int, int]


class Lettering:
    """Draws text of one size. size: in pixels, as fonts are measured: an em."""

    def __init__(self, size: int) -> None:
        self._letters = _font(_LETTERS, size)
        self._ideographs = _font(_IDEOGRAPHS, size)
        self._unknown = bytes(self._letters.getmask("\uffff"))
        self._size = size

    @property
    def line(self) -> int:
        """Pixels from one line to the next."""
        return round(self._size * 1.35)

    def width(self, text: str) -> float:
        return sum(font.getlength(part) for font, part in self._parts(text))

    def wrapped(self, text: str, width: float, most: int) -> list[str]:
        """At most so many lines of at most so many pixels; "…" stands for what is left out."""
        text = " ".join(straight(storable(text)).split())
        lines: list[str] = []
        while text and len(lines) < most:
            end = self._fitting(text, width)
            if end == len(text):
                return [*lines, text]
            space = text.rfind(" ", 0, end + 1)
            end = space if space > 0 else end
            lines.append(text[:end].rstrip())
            text = text[end:].lstrip()
        if text and lines:
            last = lines[-1]
            while last and self.width(last + _MORE) > width:
                last = last[:-1]
            lines[-1] = last.rstrip() + _MORE
        return lines

    def draw(
        self,
        canvas: ImageDraw.ImageDraw,
        lines: Sequence[str],
        middle: tuple[float, float],
        colour: Colour,
    ) -> None:
        """Draw lines, one below the other, centred around a point."""
        x, y = middle
        # The letters' baseline within a line, so that both fonts stand on the same.
        y += self._size * 0.36 - (len(lines) - 1) * self.line / 2
        for line in lines:
            at = x - self.width(line) / 2
            for font, part in self._parts(line):
                canvas.text((at, y), part, colour, font=font, anchor="ls")
                at += font.getlength(part)
            y += self.line

    def _fitting(self, text: str, width: float) -> int:
        """How many characters fit; at least one."""
        end, used = 0, 0.0
        for character in text:
            used += self._font_of(character).getlength(character)
            if end and used > width:
                break
            end += 1
        return end

    def _parts(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        return [(font, "".join(part)) for font, part in groupby(text, self._font_of)]

    def _font_of(self, character: str) -> ImageFont.FreeTypeFont:
        known = character.isspace() or bytes(self._letters.getmask(character)) != self._unknown
        return self._letters if known else self._ideographs


@cache
def _font(where: tuple[str, str], size: int) -> ImageFont.FreeTypeFont:
    package, name = where
    with as_file(files(package).joinpath(name)) as path:
        # Plain layout: with Raqm, the result would depend on the HarfBuzz of this machine.
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
