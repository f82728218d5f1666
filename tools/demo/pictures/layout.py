"""Where each thing of a scene is, and how large."""

import math
import random
from dataclasses import dataclass
from typing import Final

from tools.demo.pictures.scenes import ANCHORS, SIDE, SIZES, Group, Point, Scene

SLOTS: Final[dict[int, tuple[Point, ...]]] = {
    1: ((0.5, 0.5),),
    2: ((0.27, 0.5), (0.73, 0.5)),
    3: ((0.5, 0.28), (0.27, 0.72), (0.73, 0.72)),
    4: ((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)),
}
"""Number of things → their centres when no places are given."""
CROWD: Final = {1: 1.0, 2: 0.75, 3: 0.7, 4: 0.62}
"""Number of things → the factor by which each is smaller."""
JITTER: Final = 6.0
"""How many pixels a thing may be off its place, horizontally and vertically."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape to draw: centre and radius in pixels."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


def lay_out(scene: Scene, rng: random.Random, width: int = SIDE, height: int = SIDE) -> list[Thing]:
    """Place the things of a scene apart from each other and inside the image.

    Each is close to a standard place or the given one. If things could be anywhere, a network as
    small as ours would not learn any shape in hours.
    """
    floor = height if scene.ground == "plain" else 0.66 * height
    number = sum(group.count for group in scene.groups)
    shrink = min(width, height) / SIDE * (1.0 if scene.ground == "plain" else 0.8) * CROWD[number]
    slots = rng.sample(SLOTS[number], number)
    while True:
        things: list[Thing] = []
        for group in scene.groups:
            for _ in range(group.count):
                slot = ANCHORS[group.place] if group.place else slots[len(things)]
                thing = _place(group, slot, things, rng, shrink, (width, floor))
                if thing is None:
                    break
                things.append(thing)
        if len(things) == number:
            return things
        shrink *= 0.9


def _place(
    group: Group,
    slot: Point,
    others: list[Thing],
    rng: random.Random,
    shrink: float,
    room: tuple[float, float],
) -> Thing | None:
    radius = rng.uniform(*SIZES[group.size]) * shrink
    edge = radius + 3
    if 2 * edge > min(room):
        return None
    for _ in range(10):
        x, y = (
            min(max(share * side + rng.uniform(-JITTER, JITTER), edge), side - edge)
            for share, side in zip(slot, room, strict=True)
        )
        if all(math.hypot(x - o.x, y - o.y) > radius + o.radius + 3 for o in others):
            return Thing(group.shape, group.colour, x, y, radius)
    return None
