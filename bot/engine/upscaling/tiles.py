"""Cut an image into overlapping tiles, and blend what is made of them into one image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the tiles of an image begin; all of them have the same size.

    width, height: of a tile. lefts, tops: in pixels, ascending.
    """

    width: int
    height: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.lefts) * len(self.tops)


def grid(size: tuple[int, int], tile: int, overlap: int, step: int = 1) -> Grid:
    """Tiles of at most `tile` × `tile` pixels, of which neighbours share at least `overlap`.

    Every tile lies within the image. step: all numbers, including the image's sides, are multiples
    of it, and so is every place.
    """
    width, height = (min(tile, side) for side in size)
    lefts, tops = (
        _starts(side, own, overlap, step) for side, own in zip(size, (width, height), strict=True)
    )
    return Grid(width, height, lefts, tops)


def _starts(side: int, tile: int, overlap: int, step: int) -> tuple[int, ...]:
    if side <= tile:
        return (0,)
    gaps = math.ceil((side - tile) / (tile - overlap))
    # As far apart from each other as can be, so that every seam is blended over the same width.
    return tuple((side - tile) * n // (gaps * step) * step for n in range(gaps + 1))


def blended(
    size: tuple[int, int],
    tiles: Grid,
    factor: int,
    make: Callable[[tuple[int, int, int, int]], Floats],
) -> PIL.Image.Image:
    """An image `factor` times as large, made of what `make` returns for each tile.

    make: from the box of a tile (left, top, right, bottom) to float32 from 0 to 1, shaped
    (height, width, 3), `factor` times as large; called row by row, from the left. Only one row of
    tiles is in memory as floats. Where tiles overlap, one fades into the other.
    """
    width, height = (side * factor for side in size)
    across = _weights(tiles.lefts, tiles.width, factor)
    down = _weights(tiles.tops, tiles.height, factor)
    image = np.empty((height, width, 3), np.uint8)
    band = np.zeros((tiles.height * factor, width, 3), np.float32)
    weight = np.zeros((tiles.height * factor, 1, 1), np.float32)
    for row, top in enumerate(tiles.tops):
        line = np.zeros_like(band)
        total = np.zeros((1, width, 1), np.float32)
        for column, left in enumerate(tiles.lefts):
            box = (left, top, left + tiles.width, top + tiles.height)
            own = across[column][None, :, None]
            place = slice(left * factor, (left + tiles.width) * factor)
            line[:, place] += make(box) * own
            total[:, place] += own
        band += line / total * down[row][:, None, None]
        weight += down[row][:, None, None]
        last = row + 1 == len(tiles.tops)
        done = (tiles.height if last else tiles.tops[row + 1] - top) * factor
        finished = band[:done] / weight[:done]
        image[top * factor : top * factor + done] = np.rint(finished.clip(0, 1) * 255)
        for kept in (band, weight):
            kept[:-done] = kept[done:].copy()
            kept[-done:] = 0
    return PIL.Image.fromarray(image)


def _weights(starts: Sequence[int], tile: int, factor: int) -> list[Floats]:
    """For each tile along one axis: how much each of its pixels counts."""
    weights = [np.ones(tile * factor, np.float32) for _ in starts]
    for n, (here, after) in enumerate(pairwise(starts)):
        shared = (here + tile - after) * factor
        rising = (np.arange(shared, dtype=np.float32) + 0.5) / shared
        weights[n][-shared:] *= rising[::-1]
        weights[n + 1][:shared] *= rising
    return weights
