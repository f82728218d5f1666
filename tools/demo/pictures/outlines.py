"""The outlines of the shapes."""

import math

from tools.demo.pictures.scenes import SHAPES, Point


def outlines(shape: str) -> list[tuple[bool, list[Point]]]:
    """The outlines of a shape in the unit circle, y downwards; False cuts out of those before."""
    if shape == "circle":
        return [(True, _arc(0, 0, 0.92, 0, 360))]
    if shape == "square":
        return [(True, [(-0.78, -0.78), (0.78, -0.78), (0.78, 0.78), (-0.78, 0.78)])]
    if shape == "triangle":
        return [(True, [(0, -0.98), (0.95, 0.78), (-0.95, 0.78)])]
    if shape == "star":
        return [(True, [_polar(0.44 if k % 2 else 1.0, 36 * k - 90) for k in range(10)])]
    if shape == "heart":
        left = _arc(-0.43, -0.32, 0.5, 150, 330)
        right = _arc(0.43, -0.32, 0.5, 210, 390)
        return [(True, [*left, *right, (0, 0.95)])]
    if shape == "moon":
        return [(True, _arc(0, 0, 0.95, 0, 360)), (False, _arc(0.48, -0.14, 0.8, 0, 360))]
    if shape == "flower":
        petals = [(True, _arc(*_polar(0.58, 72 * k - 90), 0.4, 0, 360)) for k in range(5)]
        return [*petals, (True, _arc(0, 0, 0.45, 0, 360))]
    if shape == "fish":
        body = [(1.25 * x - 0.2, 0.78 * y) for x, y in _arc(0, 0, 0.66, 0, 360)]
        return [(True, body), (True, [(0.45, 0.0), (1.0, -0.55), (1.0, 0.55)])]
    raise ValueError(f"unknown shape {shape!r}; use one of {', '.join(SHAPES)}")


def _arc(x: float, y: float, radius: float, start: int, stop: int) -> list[Point]:
    return [
        (x + radius * math.cos(math.radians(a)), y + radius * math.sin(math.radians(a)))
        for a in range(start, stop + 1, 10)
    ]


def _polar(radius: float, degrees: float) -> Point:
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))
