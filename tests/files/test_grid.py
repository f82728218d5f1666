"""The grid over an image: its squares cover all of it, and can be read on anything."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.files.grid import SIDE, SQUARES, draw_grid, draw_mask


def white(squares: tuple[str, ...], size: tuple[int, int]) -> np.ndarray:
    with Image.open(io.BytesIO(draw_mask(squares, size))) as mask:
        assert (mask.mode, mask.size) == ("L", size)
        shades = np.asarray(mask)
    assert set(np.unique(shades)) <= {0, 255}
    where: np.ndarray = shades == 255
    return where


@pytest.mark.parametrize("size", [(1024, 1024), (64, 80), (67, 41)])
def test_each_pixel_is_in_one_square(size: tuple[int, int]) -> None:
    total = sum(white((name,), size).astype(int) for name in SQUARES)
    assert isinstance(total, np.ndarray)
    assert (total == 1).all()
    assert white(SQUARES, size).all()
    assert not white((), size).any()


def test_letters_are_columns_and_digits_rows_from_the_top_left() -> None:
    assert (len(SQUARES), SQUARES[0], SQUARES[1], SQUARES[4], SQUARES[-1]) == (
        *(16, "A1", "B1", "A2", "D4"),
    )
    where = np.argwhere(white(("B1", "D4"), (40, 80)))
    assert where[0].tolist() == [0, 10]
    assert where[-1].tolist() == [79, 39]
    assert white(("B1",), (40, 80))[:20, 10:20].all()


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("size", [(64, 64), (640, 1600)])
def test_lines_and_names_stand_out_from_any_image(
    tmp_path: Path, size: tuple[int, int], shade: int
) -> None:
    file = tmp_path / "plain.png"
    Image.new("RGB", size, (shade,) * 3).save(file)
    with Image.open(io.BytesIO(draw_grid(file))) as drawn:
        assert max(drawn.size) == SIDE
        grey = np.asarray(drawn.convert("L"), int)
    height, width = grey.shape
    for column in range(4):
        for row in range(4):
            left, top = width * column // 4, height * row // 4
            field = grey[top : top + height // 4, left : left + width // 4]
            name = field[:38, :44]
            assert name.max() - name.min() > 180, "its name is light on dark"
            inner = field[72:-8, 8:-8]
            assert abs(inner - shade).max() < 8, "nothing else covers the image"
            if column:
                across = grey[top + height // 8, left - 6 : left + 6]
                assert across.max() - across.min() > 120, (
                    "its line has both a light and a dark edge"
                )


def test_what_is_no_image_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(OSError, match="cannot identify"):
        draw_grid(tmp_path / "a.png")
