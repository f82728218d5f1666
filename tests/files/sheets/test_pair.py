"""Two results beside each other."""

import io
from pathlib import Path

import pytest
from PIL import Image

from bot.files.sheets.pair import HEIGHT_MAX, WIDTH_MAX, draw_pair


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "wider"),
    [
        (((64, 64), (64, 64)), True),
        (((512, 1024), (1024, 512)), True),
        (((8192, 450), (1024, 1024)), True),
        (((8192, 1000), (8192, 1000)), True),
        (((8192, 1), (1, 8192)), True),
        (((16, 4096), (16, 4096)), False),
    ],
)
def test_whatever_their_shapes_both_are_on_it(
    tmp_path: Path, sizes: tuple[tuple[int, int], tuple[int, int]], wider: bool
) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("RGB", size, "red").save(path)
    data = draw_pair((paths[0], paths[1]))
    assert data is not None
    width, height = Image.open(io.BytesIO(data)).size
    assert width <= 2 * WIDTH_MAX + 100
    assert height <= HEIGHT_MAX + 100
    assert (width > height) is wider


def test_a_missing_file_is_no_picture(tmp_path: Path) -> None:
    assert draw_pair((tmp_path / "a.png", tmp_path / "b.png")) is None
