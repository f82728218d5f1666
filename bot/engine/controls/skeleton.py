"""People as OpenPose draws them: what ControlNets of poses are shown.

Colours, order and widths are those of ControlNet's annotator (draw_bodypose in
annotator/openpose/util.py of lllyasviel/ControlNet-v1-1-nightly and Mikubill/sd-webui-controlnet),
which draws on an image whose shorter side has 512 pixels. OpenCV draws with whole numbers, so
neither threads nor the processor's instructions change a bit.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import PIL.Image

Point: TypeAlias = tuple[float, float]
"""Across and down, in pixels, from the middle of the first one."""
Person: TypeAlias = tuple[Point | None, ...]
"""OpenPose's 18 key points; None for what is not seen. Left and right are the person's own.

0 nose, 1 neck, 2–4 right shoulder, elbow and wrist, 5–7 left, 8–10 right hip, knee and ankle,
11–13 left, 14 right eye, 15 left eye, 16 right ear, 17 left ear.
"""

PARTS_MIN: Final = 4
"""Key points that somebody has to have to be drawn, as in OpenPose (annotator/openpose/body.py)."""
WIDTH: Final = 4
"""Half the width of a limb and the radius of a point where the shorter side has SIDE pixels."""
SIDE: Final = 512
DIMMED: Final = 0.6
"""How bright limbs are, beside the points."""

GROUND: Final = 0.5
HUES_MIN: Final = 4
"""How much of a skeleton's image is black at least, and how many colours are in it."""

_FROM_COCO: Final = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which of COCO's 17 key points (cocodataset.org/#keypoints-2020) each of OpenPose's is."""
_NECK: Final = 1
_SHOULDERS: Final = (2, 5)
_LIMBS: Final = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
_COLOURS: Final = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)),
    *((0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255)),
    *((0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""RGB, of the limbs and of the points, in their order."""


def is_drawn(picture: PIL.Image.Image) -> bool:
    """Whether an image, RGB, shows people as OpenPose draws them, and no photo of them.

    At least half of it is black; nearly all else, but for white points of faces, has a pure hue as
    these colours have, of which there are several.
    """
    levels = np.asarray(picture.reduce(max(1, min(picture.size) // SIDE)))
    brightest, darkest = levels.max(axis=2), levels.min(axis=2)
    lit = brightest >= 64
    if np.count_nonzero(brightest < 32) < GROUND * lit.size:
        return False
    pure = lit & (darkest < brightest // 4)
    coloured = np.count_nonzero(pure)
    if not coloured or coloured < 0.7 * np.count_nonzero(lit):
        return False
    whole = levels[pure].astype(np.float32) * (255 / brightest[pure].astype(np.float32))[:, None]
    apart = np.abs(whole[:, None] - np.array(_COLOURS, np.float32)).sum(axis=2)
    shares = np.bincount(apart.argmin(axis=1), minlength=len(_COLOURS)) / coloured
    return int(np.count_nonzero(shares >= 0.02)) >= HUES_MIN


def from_coco(points: Sequence[Point | None]) -> Person:
    """A person by COCO's key points. The neck, which COCO has not, is between the shoulders."""
    found = [None if n is None else points[n] for n in _FROM_COCO]
    right, left = (found[n] for n in _SHOULDERS)
    if right and left:
        found[_NECK] = ((right[0] + left[0]) / 2, (right[1] + left[1]) / 2)
    return tuple(found)


def drawn(
    people: Sequence[Person], shown: tuple[float, float, float, float], size: tuple[int, int]
) -> PIL.Image.Image:
    """The map, RGB, of that width and height.

    shown: left, top, right and bottom of what it shows, in the pixels that `people` are given in.
    """
    import cv2  # 0.1 s and 40 MB, for those who follow poses

    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    width = max(1, round(WIDTH * min(size) / SIDE))
    left, top, right, bottom = shown
    across, down = size[0] / (right - left), size[1] / (bottom - top)
    for person in people:
        placed = [
            None
            if point is None
            else ((point[0] + 0.5 - left) * across - 0.5, (point[1] + 0.5 - top) * down - 0.5)
            for point in person
        ]
        for (begin, end), colour in zip(_LIMBS, _COLOURS, strict=False):
            one, other = placed[begin], placed[end]
            if one is None or other is None:
                continue
            middle = (int((one[0] + other[0]) / 2), int((one[1] + other[1]) / 2))
            half = int(math.dist(one, other) / 2)
            angle = int(math.degrees(math.atan2(one[1] - other[1], one[0] - other[0])))
            limb = np.array(cv2.ellipse2Poly(middle, (half, width), angle, 0, 360, 1))
            cv2.fillConvexPoly(canvas, limb, [int(level * DIMMED) for level in colour])
        for point, colour in zip(placed, _COLOURS, strict=True):
            if point is not None:
                cv2.circle(canvas, (int(point[0]), int(point[1])), width, colour, thickness=-1)
    return PIL.Image.fromarray(canvas)
