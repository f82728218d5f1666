"""Tiles: where they are, and how what is made of them is put together."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.upscaling.tiles import blended, grid


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(2, 64),
    st.integers(1, 4),
)
def test_tiles_cover_the_image_and_share_what_they_must(
    cells: tuple[int, int], tile: int, step: int
) -> None:
    size = (cells[0] * step, cells[1] * step)
    overlap = tile // 2 * step
    tiles = grid(size, tile * step, overlap, step)
    across, down = (tiles.lefts, tiles.width), (tiles.tops, tiles.height)
    for (starts, own), side in zip((across, down), size, strict=True):
        assert starts[0] == 0
        assert starts[-1] + own == side
        assert all(start % step == 0 for start in starts)
        for here, after in pairwise(starts):
            assert here < after
            assert here + own - after >= overlap


@pytest.mark.parametrize("size", [(50, 40), (17, 90), (16, 16), (5, 3)])
def test_what_is_cut_and_put_together_is_the_same(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)

    def make(box: tuple[int, int, int, int]) -> np.ndarray:
        left, top, right, bottom = box
        tile = image[top:bottom, left:right] / np.float32(255)
        return tile.repeat(3, axis=0).repeat(3, axis=1)

    whole = blended(size, grid(size, 16, 4), 3, make)
    assert whole.size == (size[0] * 3, size[1] * 3)
    assert (np.asarray(whole) == image.repeat(3, axis=0).repeat(3, axis=1)).all()


def test_one_tile_fades_into_the_next() -> None:
    shades = iter((0.0, 1.0))
    tiles = grid((28, 8), 16, 4)
    assert tiles.lefts == (0, 12)
    image = blended((28, 8), tiles, 1, lambda _: np.full((8, 16, 3), next(shades), np.float32))
    row = np.asarray(image)[0, :, 0].astype(int)
    assert (row[:12] == 0).all()
    assert (row[16:] == 255).all()
    assert [*row[12:16]] == [32, 96, 159, 223]  # 1/8, 3/8, 5/8 and 7/8 of 255
