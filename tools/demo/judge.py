"""Recognise what a generated image shows, by geometry and colour, without a network."""

from collections import Counter
from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tools.demo.pictures.outlines import outlines
from tools.demo.pictures.scenes import COLOURS, SHAPES

Mask = np.ndarray
GRID: Final = 40
"""Side of the square in which shapes are compared."""
DIFFERENT: Final = 19.0
"""Distance in CIELAB from which a pixel does not belong to the background."""


def colour_name(colour: np.ndarray) -> str:
    """The name of the nearest colour. colour: red, green, blue, 0–255."""
    names = list(COLOURS)
    palette = lab(np.array([COLOURS[name] for name in names], dtype=float))
    return names[int(np.linalg.norm(palette - lab(colour[None]), axis=1).argmin())]


def lab(colours: np.ndarray) -> np.ndarray:
    """sRGB (…, 3), 0–255, to CIELAB under D65 (IEC 61966-2-1 and CIE 15)."""
    share = colours / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    bent = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ground(image: Image.Image) -> np.ndarray:
    """The background colour: the median of an image's border, 3 pixels wide."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    inner = np.zeros(pixels.shape[:2], dtype=bool)
    inner[3:-3, 3:-3] = True
    colour: np.ndarray = np.median(pixels[~inner], axis=0)
    return colour


def things(image: Image.Image) -> list[Mask]:
    """Masks of everything that stands out from the background, largest first, without specks."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    apart = np.linalg.norm(lab(pixels) - lab(ground(image)[None, None]), axis=-1) > DIFFERENT
    found = [mask for mask in _pieces(apart) if mask.sum() >= 60]
    return sorted(found, key=lambda mask: -int(mask.sum()))


def _pieces(mask: Mask) -> list[Mask]:
    """The connected components of a mask: the lowest number spreads through each."""
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = numbers
        for axis in (0, 1):
            for step in (-1, 1):
                near = np.roll(spread, step, axis)
                edge = [slice(None), slice(None)]
                edge[axis] = slice(0, 1) if step == 1 else slice(-1, None)
                near[tuple(edge)] = 0
                near = np.where(near == 0, mask.size + 1, near)
                spread = np.where(mask, np.minimum(spread, near), 0)
        if (spread == numbers).all():
            return [numbers == number for number in np.unique(numbers) if number]
        numbers = spread


def colour_of(image: Image.Image, mask: Mask) -> str:
    """The name of a thing's colour: the median inside, away from its edge."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inside &= np.roll(mask, step, axis)
    return colour_name(np.median(pixels[inside if inside.any() else mask], axis=0))


def middle_of(mask: Mask) -> tuple[float, float]:
    """A thing's centroid (x, y), as shares of the image's width and height."""
    y, x = np.argwhere(mask).mean(0) / mask.shape
    return float(x), float(y)


def is_left(image: Image.Image, colour: str) -> bool:
    """Whether the largest thing of a colour is in the left half; there must be one."""
    thing = next(mask for mask in things(image) if colour_of(image, mask) == colour)
    return middle_of(thing)[0] < 0.5


def shape_of(mask: Mask) -> str:
    """The shape that matches a thing best, by intersection over union of the boxed masks."""
    seen = _boxed(mask)
    scores: Counter[str] = Counter()
    for shape, template in _templates():
        score = (seen & template).sum() / (seen | template).sum()
        scores[shape] = max(scores[shape], score)
    return scores.most_common(1)[0][0]


def _boxed(mask: Mask) -> Mask:
    """The mask, cropped, scaled so that its longer side fills the grid, and centred."""
    ys, xs = np.nonzero(mask)
    cut = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    height, width = cut.shape
    side = max(height, width)
    square = np.zeros((side, side), dtype=np.uint8)
    y, x = (side - height) // 2, (side - width) // 2
    square[y : y + height, x : x + width] = cut * 255
    small = Image.fromarray(square).resize((GRID, GRID), Image.Resampling.BOX)
    return np.asarray(small) > 127


def edges_alike(found: Mask, wanted: Mask, within: int = 2) -> float:
    """How well edges lie where others are, 0–1: the F1 score. One that is up to `within` pixels
    away, horizontally and vertically, is there."""
    if not found.any() or not wanted.any():
        return 0.0
    precision = (found & _widened(wanted, within)).sum() / found.sum()
    recall = (wanted & _widened(found, within)).sum() / wanted.sum()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def _widened(mask: Mask, by: int) -> Mask:
    wide = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * by + 1))
    return np.asarray(wide) > 0


@cache
def _templates() -> list[tuple[str, Mask]]:
    """Every shape, upright and slightly rotated."""
    found = []
    for shape in SHAPES:
        for turn in np.linspace(-0.14, 0.14, 5):
            canvas = Image.new("L", (160, 160), 0)
            pen = ImageDraw.Draw(canvas)
            for fill, outline in outlines(shape):
                points = [
                    (
                        80 + 60 * (x * np.cos(turn) - y * np.sin(turn)),
                        80 + 60 * (x * np.sin(turn) + y * np.cos(turn)),
                    )
                    for x, y in outline
                ]
                pen.polygon(points, fill=255 if fill else 0)
            found.append((shape, _boxed(np.asarray(canvas) > 127)))
    return found
