"""Random scenes of simple shapes."""

import random
from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]
Point = tuple[float, float]

SIDE: Final = 128
"""Pixels per side of a square image."""
COLOURS: Final[dict[str, Colour]] = {
    "red": (214, 40, 40),
    "orange": (242, 140, 30),
    "yellow": (250, 214, 50),
    "green": (46, 160, 70),
    "blue": (45, 95, 215),
    "purple": (135, 60, 175),
    "pink": (245, 145, 190),
    "white": (246, 246, 246),
    "black": (24, 24, 28),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "moon", "flower", "fish")
SIZES: Final = {"small": (15.0, 19.0), "medium": (28.0, 36.0), "big": (43.0, 52.0)}
"""Radius of the circle around a shape, in pixels of an image of SIDE."""
ANCHORS: Final[dict[str, Point]] = {
    "left": (0.26, 0.5),
    "right": (0.74, 0.5),
    "top": (0.5, 0.26),
    "bottom": (0.5, 0.74),
    "middle": (0.5, 0.5),
}
"""Centre of a thing with a given place, as shares of the image's width and height."""
PLACES: Final = tuple(ANCHORS)
GROUNDS: Final = ("plain", "sea", "hill")
DECORS: Final = ("none", "frame", "snow")
SKIES: Final[dict[str, Colour]] = {"white": (222, 234, 244), "black": (28, 32, 58)}
"""Colours above a sea or a hill, named after the colour that shapes may not have there."""


@dataclass(frozen=True, slots=True)
class Group:
    """Identical things: `count` (1 to 3) of `shape`, at `place` ("" for anywhere)."""

    shape: str
    colour: str
    count: int = 1
    size: str = "medium"
    place: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """The contents of an image. sky: a key of SKIES, "" on plain ground."""

    groups: tuple[Group, ...]
    ground: str
    ground_colour: str
    sky: str = ""
    decor: str = "none"


def held_out(shape: str, colour: str, ground_colour: str) -> bool:
    """Whether this combination is in no training image, so that it can be used for testing."""
    order = list(COLOURS)
    number = SHAPES.index(shape) + 3 * order.index(colour) + 5 * order.index(ground_colour)
    return number % 11 == 0


def draw_scene(rng: random.Random) -> Scene:
    """A random scene without held-out combinations."""
    ground = rng.choices(GROUNDS, (0.74, 0.15, 0.11))[0]
    sky = "" if ground == "plain" else rng.choice(list(SKIES))
    while True:
        ground_colour = rng.choice(list(COLOURS))
        free = [c for c in COLOURS if c != ground_colour and c != sky]
        number = 1 if rng.random() < 0.72 else 2
        shapes = rng.sample(SHAPES, number)
        colours = rng.sample(free, number)
        if any(held_out(s, c, ground_colour) for s, c in zip(shapes, colours, strict=True)):
            continue
        groups = tuple(
            _group(rng, shape, colour, number)
            for shape, colour in zip(shapes, colours, strict=True)
        )
        return Scene(groups, ground, ground_colour, sky, rng.choices(DECORS, (0.8, 0.1, 0.1))[0])


def _group(rng: random.Random, shape: str, colour: str, number: int) -> Group:
    count = rng.choices((1, 2, 3), (0.66, 0.19, 0.15) if number == 1 else (0.9, 0.1, 0.0))[0]
    sizes = ("small", "medium", "big") if count == number == 1 else ("small", "medium")
    size = rng.choices(sizes, (0.15, 0.65, 0.2)[: len(sizes)])[0]
    place = rng.choice(PLACES) if number == count == 1 and rng.random() < 0.45 else ""
    return Group(shape, colour, count, size, place)
