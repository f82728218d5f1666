"""Extending an image beyond its edges (outpainting): how that is typed, and where the image lies.

`zoom 1.5` paints all around it, `left` or `left 25%, right` to those sides, `16:9` as far as that
shape wants. `768x512+128+0` says it in pixels: the image's size, and where it begins from the left
and from above.
"""

import re
from dataclasses import dataclass
from typing import Final

from bot.errors import InvalidRequest
from bot.request.parts import Box
from bot.request.syntax import RATIO

ZOOM: Final = (1.1, 3.0)
SHARE: Final = (5.0, 50.0, 100.0)
"""Minimum, default and maximum of a side, in per cent of the image's own."""
SIDES: Final = ("left", "up", "right", "down")
_ALIASES: Final = {"top": "up", "above": "up", "bottom": "down", "below": "down"}

_ZOOM: Final = re.compile(r"(?:zoom\s*)?(\d{1,3}(?:[.,]\d{1,6})?)\s*[x×]?", re.IGNORECASE)
_SIDE: Final = re.compile(r"([a-z]+)\s*(?:(\d{1,4}(?:\.\d{1,6})?)\s*%?)?")
_BOX: Final = re.compile(r"(\d{1,5})\s*[x×]\s*(\d{1,5})\s*\+(\d{1,5})\s*\+(\d{1,5})", re.IGNORECASE)
_EXACTLY: Final = 0.02
"""An image that would be scaled by less keeps its own size, and so its pixels."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """How far an image is extended, in shares of its own sides.

    zoomed: whether the result is as large as the image, which becomes smaller in it, rather than
    the image as large as it was.
    box: where it lies, if that was said in pixels; the shares are then 0.
    """

    left: float = 0.0
    up: float = 0.0
    right: float = 0.0
    down: float = 0.0
    zoomed: bool = False
    box: Box | None = None

    def of(self, width: float, height: float) -> tuple[float, float]:
        """How large an image of this size becomes, if it is not scaled."""
        return width * (1 + self.left + self.right), height * (1 + self.up + self.down)


def parse_extent(text: str, width: int, height: int) -> Extent:
    """What was typed, for an image of that size. Raises InvalidRequest."""
    asked = text.strip()
    if match := _BOX.fullmatch(asked):
        across, down, left, top = map(int, match.groups())
        return Extent(box=Box(left, top, across, down))
    if match := _ZOOM.fullmatch(asked):
        low, high = ZOOM
        factor = float(match[1].replace(",", "."))
        if not low <= factor <= high:
            raise InvalidRequest("extend", "extend.zoom", value=match[1], min=low, max=high)
        share = (factor - 1) / 2
        return Extent(share, share, share, share, zoomed=True)
    if match := RATIO.fullmatch(asked):
        return _to_ratio(int(match[1]), int(match[2]), width, height, asked)
    shares: dict[str, float] = {}
    for part in asked.lower().split(","):
        match = _SIDE.fullmatch(part.strip())
        side = _ALIASES.get(match[1], match[1]) if match else ""
        if match is None or side not in SIDES or side in shares:
            raise InvalidRequest("extend", "extend.form", value=text)
        low, usual, high = SHARE
        percent = float(match[2]) if match[2] else usual
        if not low <= percent <= high:
            raise InvalidRequest("extend", "extend.share", value=match[2], min=low, max=high)
        shares[side] = percent / 100
    return Extent(
        left=shares.get("left", 0.0),
        up=shares.get("up", 0.0),
        right=shares.get("right", 0.0),
        down=shares.get("down", 0.0),
    )


def _to_ratio(across: int, down: int, width: int, height: int, asked: str) -> Extent:
    if not (across and down):
        raise InvalidRequest("extend", "extend.form", value=asked)
    wider = across * height / (down * width)
    more = max(wider, 1 / wider) - 1
    low, _, high = SHARE
    # Two sides of it, and each as far as it may be.
    if not low <= more * 100 <= 2 * high:
        code = "extend.same" if more * 100 < low else "extend.far"
        raise InvalidRequest("extend", code, value=asked)
    share = more / 2
    return Extent(left=share, right=share) if wider > 1 else Extent(up=share, down=share)


def placed(extent: Extent, picture: Size, size: Size) -> Box:
    """Where a picture that is extended lies in a result of `size`. Raises InvalidRequest.

    All of it: scaled to leave at least as much room as was asked for, unless that changes its size
    by so little that it better stays as it is. Where the result has another shape, there is more to
    add: on the sides that were named, or else on both.
    """
    if extent.box is not None:
        if not extent.box.within(*size) or not min(extent.box.width, extent.box.height):
            width, height = size
            raise InvalidRequest(
                "extend", "extend.outside", value=str(extent.box), width=width, height=height
            )
        return extent.box
    scale = min(whole / own for whole, own in zip(size, extent.of(*picture), strict=True))
    fits = all(own <= whole for own, whole in zip(picture, size, strict=True))
    if fits and abs(scale - 1) < _EXACTLY:
        scale = 1.0
    left, width = _along(size[0], picture[0] * scale, extent.left, extent.right)
    top, height = _along(size[1], picture[1] * scale, extent.up, extent.down)
    return Box(left, top, width, height)


def _along(whole: int, own: float, before: float, after: float) -> tuple[int, int]:
    """Where it begins on one axis, and how long it is there."""
    length = min(max(1, round(own)), whole)
    if not before + after:
        # What is left by rounding is no room to paint in.
        if whole - length <= _EXACTLY * whole:
            return 0, whole
        before = after = 1.0
    return round((whole - length) * before / (before + after)), length


def is_box(text: str) -> bool:
    """Whether it says in pixels where the image lies."""
    return _BOX.fullmatch(text.strip()) is not None


def shares_of(box: Box, size: Size) -> dict[str, float]:
    """By which shares of its sides the image in `box` was extended, where it was: of SIDES."""
    width, height = size
    added = {
        "left": box.left / box.width,
        "up": box.top / box.height,
        "right": (width - box.left - box.width) / box.width,
        "down": (height - box.top - box.height) / box.height,
    }
    return {side: share for side, share in added.items() if share > 0}
