"""How far apart two images are."""

from typing import Any

from PIL import ImageChops


def farthest(one: Any, other: Any) -> int:
    """The greatest difference of a pixel's channel, 0–255."""
    bands = ImageChops.difference(one, other).split()
    return max(int(band.getextrema()[1]) for band in bands)  # type: ignore[arg-type]
