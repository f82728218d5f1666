"""People drawn as OpenPose draws them."""

import io
import math
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from bot.engine.controls import skeleton
from bot.engine.controls.skeleton import Person, Point, drawn, from_coco, is_drawn

WHOLE = (0.0, 0.0, 512.0, 512.0)
# Somebody with raised arms, as COCO counts: nose, eyes, ears, shoulders, elbows, wrists, hips,
# knees, ankles, the left one first.
COCO: list[Point | None] = [
    *((256, 90), (266, 80), (246, 80), (280, 86), (232, 86)),
    *((300, 140), (212, 140), (340, 100), (172, 100), (350, 40), (162, 40)),
    *((285, 270), (227, 270), (290, 370), (222, 370), (295, 470), (217, 470)),
]
LIMBS = {
    # From ControlNet's annotator, which counts from 1.
    (2, 3): (255, 0, 0),
    (2, 6): (255, 85, 0),
    (3, 4): (255, 170, 0),
    (4, 5): (255, 255, 0),
    (6, 7): (170, 255, 0),
    (7, 8): (85, 255, 0),
    (2, 9): (0, 255, 0),
    (9, 10): (0, 255, 85),
    (10, 11): (0, 255, 170),
    (2, 12): (0, 255, 255),
    (12, 13): (0, 170, 255),
    (13, 14): (0, 85, 255),
    (2, 1): (0, 0, 255),
    (1, 15): (85, 0, 255),
    (15, 17): (170, 0, 255),
    (1, 16): (255, 0, 255),
    (16, 18): (255, 0, 170),
}
POINTS = [*LIMBS.values(), (255, 0, 85)]


def test_key_points_of_coco_become_those_of_openpose() -> None:
    person: Any = from_coco(COCO)
    assert len(person) == 18
    assert person[1] == (256, 140)  # the neck
    arms = [point[0] < 256 for point in person[2:8] if point]
    assert arms == [True] * 3 + [False] * 3
    assert person[8:11] == ((227, 270), (222, 370), (217, 470))
    assert person[11:14] == ((285, 270), (290, 370), (295, 470))
    assert person[14:] == ((246, 80), (266, 80), (232, 86), (280, 86))
    without: Any = from_coco([*COCO[:5], None, *COCO[6:]])
    assert without[1] is None
    assert without[5] is None


@pytest.mark.parametrize("limb", LIMBS)
def test_each_limb_has_its_colour_and_width(limb: tuple[int, int]) -> None:
    whole = from_coco(COCO)
    ends = [n - 1 for n in limb]
    person: Person = tuple(point if n in ends else None for n, point in enumerate(whole))
    image = np.asarray(drawn([person], WHOLE, (512, 512)))
    (ax, ay), (bx, by) = (point for point in person if point)
    dimmed = tuple(int(level * 0.6) for level in LIMBS[limb])
    length = math.dist((ax, ay), (bx, by))
    if length > 30:  # in the middle, no point covers it
        assert tuple(image[int((ay + by) / 2), int((ax + bx) / 2)]) == dimmed
        of_limb = (image == dimmed).all(axis=2).sum()
        area = math.pi * 4 * length / 2
        assert 0.6 * area < of_limb < 1.4 * area
    for n in ends:
        x, y = (int(value) for value in whole[n] or ())
        assert tuple(image[y, x]) == POINTS[n]
        assert tuple(image[y, x - 4]) == POINTS[n] or tuple(image[y, x + 4]) == POINTS[n]


def test_a_skeleton_is_wider_where_the_map_is_larger_and_shows_what_the_map_does() -> None:
    person = from_coco(COCO)
    small = drawn([person], WHOLE, (512, 512))
    large = drawn([person], WHOLE, (1024, 1024))
    lit = [(np.asarray(image).max(axis=2) > 0).mean() for image in (small, large)]
    assert abs(lit[1] / lit[0] - 1) < 0.1
    again = large.resize((512, 512), PIL.Image.Resampling.BOX)
    assert np.abs(np.asarray(small, float) - np.asarray(again, float)).mean() < 2
    # The left half of what it shows, at the same scale.
    half = drawn([person], (0.0, 0.0, 256.0, 512.0), (512, 1024))
    shown = np.asarray(half).max(axis=2) > 0
    assert abs(shown.mean() - lit[1]) < 0.02
    assert drawn([person], WHOLE, (512, 512)).tobytes() == small.tobytes()


def test_several_people_are_all_drawn_in_full_colours() -> None:
    one = from_coco(COCO)
    other: Person = tuple(point and (point[0] / 2, point[1] / 2) for point in one)
    both = np.asarray(drawn([one, other], WHOLE, (512, 512)))
    for person in (one, other):
        for point, colour in zip(person, skeleton._COLOURS, strict=True):
            assert point is not None
            x, y = int(point[0]), int(point[1])
            around = both[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
            assert (around == colour).all(axis=1).any()


def test_whoever_is_outside_is_not_drawn() -> None:
    away: Person = tuple(point and (point[0] - 2000, point[1]) for point in from_coco(COCO))
    assert drawn([away], WHOLE, (64, 64)).getbbox() is None


def as_jpeg(image: PIL.Image.Image, quality: int = 85) -> PIL.Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return PIL.Image.open(data).convert("RGB")


@pytest.mark.parametrize("size", [(512, 512), (300, 900), (1600, 1200)])
def test_a_skeleton_is_told_from_a_photo(size: tuple[int, int]) -> None:
    person = from_coco(COCO)
    whole = drawn([person], WHOLE, size)
    assert is_drawn(whole)
    assert is_drawn(as_jpeg(whole))
    assert is_drawn(drawn([(*person[:5], *(None,) * 13)], WHOLE, size)), "no more than an arm"
    with_face = whole.copy()
    PIL.ImageDraw.Draw(with_face).point(
        [(x, y) for x in range(150, 200) for y in (90, 95)], "white"
    )
    assert is_drawn(with_face)


def test_photos_and_other_maps_are_no_skeletons() -> None:
    across = np.linspace(0, 1, 512, dtype=np.float32)
    noise = np.random.default_rng(3).random((512, 512, 3), np.float32)
    lit = np.clip(1 - 4 * np.hypot(across - 0.5, across[:, None] - 0.5), 0, 1)[:, :, None]
    white, red, warm = (np.array(rgb, np.float32) for rgb in ((1, 1, 1), (1, 0, 0), (1, 0.7, 0.5)))
    for name, levels in {
        "black": noise * 0,
        "noise": noise,
        "somebody in the dark": lit * warm * (0.7 + 0.3 * noise),
        "red light on a stage": lit * red,
        "edges": (noise[:, :, :1] > 0.97) * white,
        "all colours, and nothing black": noise * np.array((1, 0, 0)) + 0.2,
    }.items():
        image = PIL.Image.fromarray((np.broadcast_to(levels, (512, 512, 3)) * 200).astype(np.uint8))
        assert not is_drawn(image), name
