"""Maps: edges, drawings, depth, and those that are finished already."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps
import pytest

from bot.engine import pixels
from bot.engine.controls import maps
from bot.request import ControlUse
from catalog import CONTROL_TYPES
from catalog.control_types import MADE_OF_PHOTOS

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MADE = {"canny", "depth", "lineart", "scribble"}
"""Types whose maps are made here."""


def photo(width: int = 300, height: int = 200) -> PIL.Image.Image:
    """Soft colours, and shapes whose borders are edges."""
    soft = [PIL.Image.radial_gradient("L"), PIL.Image.linear_gradient("L")]
    bands = [soft[0], soft[1], soft[1].rotate(90)]
    image = PIL.Image.merge("RGB", bands).resize((width, height))
    draw = PIL.ImageDraw.Draw(image)
    draw.ellipse((40, 30, 150, 140), fill=(200, 30, 60))
    draw.rectangle((170, 90, 260, 170), fill=(20, 90, 160))
    return image


def drawing() -> PIL.Image.Image:
    """Dark lines on white paper."""
    image = PIL.Image.new("RGB", (200, 200), "white")
    PIL.ImageDraw.Draw(image).ellipse((30, 30, 170, 170), outline=(30, 10, 90), width=5)
    return image


def made(picture: PIL.Image.Image, kind: str, size: maps.Size) -> PIL.Image.Image:
    return maps.prepared(picture, kind, size, depth=None)


def array(image: PIL.Image.Image) -> Any:
    return np.asarray(image, np.float64)


@pytest.mark.parametrize("kind", CONTROL_TYPES)
@pytest.mark.parametrize("size", [(128, 192), (320, 64), (300, 200)])
def test_a_map_is_rgb_of_its_size_and_the_image_stays(kind: str, size: maps.Size) -> None:
    picture = photo()
    before = picture.tobytes()
    for found in (
        maps.prepared(picture, kind, size, depth=picture.convert("F")),
        maps.resized(picture, kind, size),
    ):
        assert (found.mode, found.size) == ("RGB", size)
    assert picture.tobytes() == before


@pytest.mark.parametrize("kind", [kind for kind in CONTROL_TYPES if kind not in MADE])
def test_of_other_types_the_image_is_the_map(kind: str) -> None:
    picture = photo()
    assert made(picture, kind, (300, 200)).tobytes() == picture.tobytes()
    assert (
        made(picture, kind, (96, 96)).tobytes() == maps.resized(picture, kind, (96, 96)).tobytes()
    )


def test_edges_are_found_in_the_image_as_it_is_cropped() -> None:
    import cv2

    found = made(photo(), "canny", (128, 128))
    assert {colour for _, colour in found.getcolors() or ()} == {BLACK, WHITE}
    shown = np.asarray(pixels.fitted(photo(), 128, 128))
    assert (array(found)[..., 0] == cv2.Canny(shown, 100, 200)).all()


def test_edges_between_colours_that_are_equally_bright_are_found() -> None:
    grey = PIL.Image.new("RGB", (64, 64), (110, 110, 110))
    red = (255, 58, 0)
    assert PIL.Image.new("RGB", (1, 1), red).convert("L").getpixel((0, 0)) == 110
    grey.paste(red, (16, 16, 48, 48))
    found = array(made(grey, "canny", (64, 64)))[..., 0]
    assert found[32, 14:18].any()
    assert not found[20:44, 20:44].any()


@pytest.mark.parametrize(
    ("upper", "lower", "rows"),
    [(50, 50, 0), (51, 51, 64), (51, 26, 64), (51, 25, 33)],
)
def test_an_edge_begins_above_200_and_goes_on_above_100(upper: int, lower: int, rows: int) -> None:
    # Across a step between two areas the gradient is four times its height.
    image = PIL.Image.new("RGB", (64, 64))
    image.paste((upper,) * 3, (32, 0, 64, 32))
    image.paste((lower,) * 3, (32, 32, 64, 64))
    found = array(made(image, "canny", (64, 64)))[:, 29:34, 0]
    assert abs(int(found.any(axis=1).sum()) - rows) <= 1


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("vectors", [True, False])
def test_edges_have_the_same_bits_on_every_machine(threads: int, vectors: bool) -> None:
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    cv2.setUseOptimized(vectors)
    try:
        noise = np.random.default_rng(7).integers(0, 256, (333, 500, 3), np.uint8)
        found = made(PIL.Image.fromarray(noise), "canny", (500, 333))
    finally:
        cv2.setNumThreads(before)
        cv2.setUseOptimized(True)
    assert hashlib.sha256(found.tobytes()).hexdigest() == EDGES


EDGES = "665bec57deafecc98e7f4f0af4aad9e716989de2b4d557734f2a9551b2c51e74"


@pytest.mark.parametrize("kind", ["lineart", "scribble"])
def test_dark_lines_on_light_paper_become_light_ones_on_dark(kind: str) -> None:
    found = made(drawing(), kind, (200, 200))
    assert found.getpixel((5, 5)) == BLACK
    assert found.getpixel((32, 100)) == (230, 230, 230)  # in grey, and the other way round
    assert made(found, kind, (200, 200)).tobytes() == found.tobytes()
    assert maps.resized(drawing(), kind, (200, 200)).tobytes() == drawing().tobytes()


@pytest.mark.parametrize("shrunk", [1.1, 1.5, 2, 3, 4, 5.5])
def test_thin_lines_of_a_map_stay_whole_when_it_gets_smaller(shrunk: float) -> None:
    side = 990
    small = round(side / shrunk)
    for angle in (0, 20, 45, 75, 90, 130):
        map_ = PIL.Image.new("RGB", (side, side))
        PIL.ImageDraw.Draw(map_).line((95, 495, 895, 495), fill="white")
        map_ = map_.rotate(angle, PIL.Image.Resampling.NEAREST, center=(495.5, 495.5))
        found = maps.resized(map_, "canny", (small, small))
        assert {colour for _, colour in found.getcolors() or ()} == {BLACK, WHITE}
        lit = array(found)[..., 0] > 0
        for along in np.linspace(-380, 380, 200):
            x = (495.5 + along * np.cos(np.radians(angle))) / side * small
            y = (495.5 - along * np.sin(np.radians(angle))) / side * small
            around = lit[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
            assert 1 <= around.sum() <= 8


def test_a_map_in_black_and_white_keeps_its_areas_when_it_gets_larger() -> None:
    map_ = PIL.Image.new("RGB", (64, 64))
    map_.paste(WHITE, (16, 8, 48, 40))
    found = maps.resized(map_, "canny", (160, 160))
    assert found.getbbox() == (40, 20, 120, 100)
    assert found.crop((40, 20, 120, 100)).getcolors() == [(6400, WHITE)]


def test_a_drawing_in_black_and_white_keeps_its_thin_lines() -> None:
    paper = PIL.Image.new("RGB", (400, 400), "white")
    PIL.ImageDraw.Draw(paper).line((20, 201, 380, 201), fill="black")
    found = array(made(paper, "lineart", (100, 100)))[..., 0]
    assert (found[:, 10:90].max(axis=0) == 255).all()


def test_soft_maps_are_scaled_as_photos_are() -> None:
    picture = photo()
    for kind in ("canny", "openpose", "softedge", "tile"):
        expected = pixels.fitted(picture, 120, 90).tobytes()
        assert maps.resized(picture, kind, (120, 90)).tobytes() == expected


@pytest.mark.parametrize("size", [(50, 50), (170, 90), (640, 512)])
def test_the_colours_of_segments_are_not_mixed(size: maps.Size) -> None:
    map_ = PIL.Image.new("RGB", (200, 100), (120, 120, 80))
    map_.paste((6, 230, 230), (60, 10, 130, 70))
    map_.paste((224, 5, 255), (90, 40, 180, 90))
    colours = {colour for _, colour in map_.getcolors() or ()}
    for found in (made(map_, "segment", size), maps.resized(map_, "segment", size)):
        assert {colour for _, colour in found.getcolors() or ()} == colours


def test_depth_goes_from_black_to_white_within_what_is_shown() -> None:
    # Nearer to the right, and nearest in corners that are cut off.
    far = np.tile(np.linspace(-3, 7, 90, dtype=np.float32), (40, 1))
    far[:, -20:] = 90
    depth = PIL.Image.fromarray(far)
    found = array(maps.prepared(photo(180, 80), "depth", (64, 64), depth=depth))
    assert (found == found[..., :1]).all()
    assert (found[0, :, 0].min(), found[0, :, 0].max()) == (0, 255)
    assert (np.diff(found[:, :, 0]) >= 0).all()
    assert abs(found[30, 32, 0] - 128) < 4


def test_depth_lies_where_it_is_in_the_image_whatever_its_own_size() -> None:
    picture = PIL.Image.new("RGB", (400, 200))
    picture.paste(WHITE, (150, 50, 300, 200))
    depth = picture.convert("F").resize((90, 200))
    found = array(maps.prepared(picture, "depth", (200, 200), depth=depth))[..., 0]
    assert found[:45].max() < 40
    assert found[100, :45].max() < 40
    assert found[100, 55:195].min() > 200


def test_depth_that_is_the_same_everywhere_is_black() -> None:
    depth = PIL.Image.new("F", (20, 20), 3.5)
    found = maps.prepared(photo(), "depth", (64, 64), depth=depth)
    assert found.getcolors() == [(64 * 64, BLACK)]


def test_a_map_of_depth_needs_the_depth() -> None:
    with pytest.raises(ValueError, match="depth"):
        made(photo(), "depth", (64, 64))


def test_the_recipe_names_opencv_where_it_was_used() -> None:
    import cv2

    used = {"opencv": cv2.__version__}
    for kind in CONTROL_TYPES:
        plain = ControlUse("any", "a" * 64, kind)
        assert maps.facts(plain) == (used if kind == "canny" else {})
        assert maps.facts(replace(plain, is_map=True)) == {}
    for kind in MADE_OF_PHOTOS:
        assert maps.facts(ControlUse("any", "a" * 64, kind, of_photo=True)) == used


def test_a_scribble_of_a_photo_has_its_lines_and_a_drawing_stays_one() -> None:
    soft = PIL.Image.linear_gradient("L").resize((300, 200)).point(lambda level: 120 + level // 4)
    picture = soft.convert("RGB")
    PIL.ImageDraw.Draw(picture).ellipse((40, 30, 150, 140), fill=(5, 10, 20))
    found = maps.scribble(picture, (300, 200))
    assert {colour for _, colour in found.getcolors(2) or ()} == {BLACK, WHITE}
    assert maps.scribble(picture, (300, 200)).tobytes() == found.tobytes()
    lines = array(found)[..., 0] > 0
    # Along the border of what is dark, and nowhere in what changes softly.
    assert 0.002 < lines.mean() < 0.2
    assert lines[80:90, 36:50].any()
    assert not lines[:20, 200:].any()
    drawn = made(drawing(), "scribble", (100, 100))
    assert maps.scribble(drawing(), (100, 100)).tobytes() == drawn.tobytes()


def test_blurring_for_a_scribble_is_in_whole_numbers() -> None:
    import cv2

    digests = set()
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        digests.add(hashlib.sha256(maps.scribble(photo(), (512, 384)).tobytes()).hexdigest())
        cv2.setUseOptimized(False)
        digests.add(hashlib.sha256(maps.scribble(photo(), (512, 384)).tobytes()).hexdigest())
        cv2.setUseOptimized(True)
    assert len(digests) == 1
