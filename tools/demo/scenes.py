"""Random scenes of simple shapes, and the training images of them for the demo models."""

import math
import random
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

SIDE: Final = 128
"""Pixels per side of a square image."""
SUPERSAMPLING: Final = 2

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
PLACES: Final = tuple(ANCHORS)
GROUNDS: Final = ("plain", "sea", "hill")
DECORS: Final = ("none", "frame", "snow")
STYLES: Final = ("flat", "ink", "sketch", "neon", "pixel", "clay")
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


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape to draw: centre and radius in pixels."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


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


def render(
    scene: Scene, rng: random.Random, style: str = "flat", width: int = SIDE, height: int = SIDE
) -> Image.Image:
    """Draw a scene: RGB, `width`×`height`. The same `rng` gives the same image."""
    things = lay_out(scene, rng, width, height)
    paint_seed = rng.random()
    draw = _STYLES[style]
    big = Canvas(scene, things, width, height, random.Random(paint_seed))
    return draw(big).resize((width, height), Image.Resampling.BOX)


class Canvas:
    """A scene to draw at SUPERSAMPLING times the image's size."""

    def __init__(
        self, scene: Scene, things: list[Thing], width: int, height: int, rng: random.Random
    ) -> None:
        self.scene, self.things, self.rng = scene, things, rng
        self.size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self._jitter = {name: _near(colour, rng) for name, colour in COLOURS.items()}
        self._edge = rng.random()

    def colour(self, name: str) -> Colour:
        """The colour of that name, slightly different in each image."""
        return self._jitter[name]

    @property
    def ground_colour(self) -> Colour:
        return self.colour(self.scene.ground_colour)

    @property
    def sky(self) -> Colour:
        """The colour behind everything else."""
        return SKIES[self.scene.sky] if self.scene.sky else self.ground_colour

    def land(self) -> Image.Image:
        """Mask (L) of the sea or the hill, empty on plain ground."""
        width, height = self.size
        mask = Image.new("L", self.size, 0)
        if self.scene.ground == "plain":
            return mask
        pen, level = ImageDraw.Draw(mask), 0.68 * height
        if self.scene.ground == "sea":
            swell = [
                (x, level + 5 * math.sin(x / 13 + 6.3 * self._edge)) for x in range(0, width + 4, 4)
            ]
            pen.polygon([*swell, (width, height), (0, height)], fill=255)
        else:
            middle = (0.2 + 0.6 * self._edge) * width
            pen.ellipse((middle - width, level - 8, middle + width, level + 1.6 * height), fill=255)
        return mask

    def mask(self, thing: Thing, grow: float = 0.0) -> Image.Image:
        """Mask (L) of a thing, larger by `grow` pixels of the image on all sides."""
        mask = Image.new("L", self.size, 0)
        pen, k = ImageDraw.Draw(mask), SUPERSAMPLING
        for fill, outline in outlines(thing.shape):
            r = max(1.0, thing.radius + (grow if fill else -grow)) * k
            points = [(thing.x * k + r * x, thing.y * k + r * y) for x, y in outline]
            pen.polygon(points, fill=255 if fill else 0)
        return mask

    def decorate(self, image: Image.Image) -> None:
        """Draw the frame or the snow, in white or black, whichever is visible."""
        width, height = self.size
        light = sum(self.sky) / 3 < 150
        colour = self.colour("white" if light else "black")
        pen = ImageDraw.Draw(image)
        if self.scene.decor == "frame":
            pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=7 * SUPERSAMPLING)
        elif self.scene.decor == "snow":
            for _ in range(26):
                x, y = self.rng.uniform(0, width), self.rng.uniform(0, height)
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)

    def strokes(self) -> Image.Image:
        """Mask (L) of vertical strokes across the whole image, one per column of latents."""
        mask = Image.new("L", self.size, 0)
        pen, (width, height) = ImageDraw.Draw(mask), self.size
        for x in range(0, width, 8 * SUPERSAMPLING):
            pen.rectangle((x, 0, x + 7, height), fill=255)
        return mask


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


def _near(colour: Colour, rng: random.Random) -> Colour:
    r, g, b = (min(255, max(0, c + rng.randint(-9, 9))) for c in colour)
    return r, g, b


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `one`, the rest of `other`."""
    r, g, b = (round(share * a + (1 - share) * c) for a, c in zip(one, other, strict=True))
    return r, g, b


PAPER: Final = (248, 244, 232)
PENCIL: Final = (38, 36, 44)


def _flat(canvas: Canvas) -> Image.Image:
    image = Image.new("RGB", canvas.size, canvas.sky)
    image.paste(canvas.ground_colour, mask=canvas.land())
    for thing in canvas.things:
        image.paste(canvas.colour(thing.colour), mask=canvas.mask(thing))
    canvas.decorate(image)
    return image


def _ink(canvas: Canvas) -> Image.Image:
    """Washes of colour in thick ink outlines, with shadows, on paper."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, PAPER, 0.72))
    land = canvas.land()
    image.paste(mix(canvas.ground_colour, PAPER, 0.8), mask=land)
    if canvas.scene.ground != "plain":
        shore = land.filter(ImageFilter.MaxFilter(7))
        image.paste(PENCIL, mask=ImageChops.subtract(shore, land))
    for thing in canvas.things:
        body = canvas.mask(thing)
        image.paste(PENCIL, mask=canvas.mask(thing, 3.0))
        image.paste(canvas.colour(thing.colour), mask=body)
        dark = mix(canvas.colour(thing.colour), PENCIL, 0.6)
        image.paste(dark, mask=ImageChops.multiply(_lower_right(canvas, thing), body))
    canvas.decorate(image)
    return image


def _lower_right(canvas: Canvas, thing: Thing) -> Image.Image:
    """Mask of the half of the image to the lower right of a thing's centre."""
    width, height = canvas.size
    x, y = thing.x * SUPERSAMPLING, thing.y * SUPERSAMPLING
    mask = Image.new("L", canvas.size, 0)
    corners = [(x + height, y - height), (x - width, y + width), (2 * width, 2 * height)]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask


def _sketch(canvas: Canvas) -> Image.Image:
    """Coloured pencil: outlines and strokes on paper."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, PAPER, 0.3))
    strokes = canvas.strokes()
    land = ImageChops.multiply(strokes, canvas.land())
    image.paste(mix(canvas.ground_colour, PAPER, 0.8), mask=land)
    for thing in canvas.things:
        colour = canvas.colour(thing.colour)
        body = canvas.mask(thing)
        image.paste(PAPER, mask=body)
        line = ImageChops.subtract(canvas.mask(thing, 1.5), canvas.mask(thing, -1.5))
        image.paste(colour, mask=ImageChops.multiply(strokes, body))
        image.paste(mix(colour, PENCIL, 0.6), mask=line)
    canvas.decorate(image)
    return image


def _neon(canvas: Canvas) -> Image.Image:
    """Neon tubes in front of a dark wall."""
    image = Image.new("RGB", canvas.size, mix(canvas.sky, (8, 8, 16), 0.3))
    image.paste(mix(canvas.ground_colour, (8, 8, 16), 0.45), mask=canvas.land())
    for thing in canvas.things:
        colour = mix(canvas.colour(thing.colour), (255, 255, 255), 0.85)
        tube = ImageChops.subtract(canvas.mask(thing), canvas.mask(thing, -3.4))
        glow = canvas.mask(thing).filter(ImageFilter.GaussianBlur(9)).point(lambda v: int(v * 0.55))
        image.paste(colour, mask=glow)
        image.paste(colour, mask=tube)
    canvas.decorate(image)
    return image


def _pixel(canvas: Canvas) -> Image.Image:
    """Large blocks, as on an old screen."""
    flat = _flat(canvas)
    width, height = canvas.size
    block = 8 * SUPERSAMPLING
    small = flat.resize((width // block, height // block), Image.Resampling.BOX)
    return small.resize(canvas.size, Image.Resampling.NEAREST)


def _clay(canvas: Canvas) -> Image.Image:
    """Soft, solid things, lit from the upper left, with shadows on the ground."""
    light = Image.linear_gradient("L").resize(canvas.size)
    image = Image.new("RGB", canvas.size, mix(canvas.sky, (255, 255, 255), 0.82))
    image.paste(canvas.sky, mask=light)
    image.paste(canvas.ground_colour, mask=canvas.land())
    for thing in canvas.things:
        colour = canvas.colour(thing.colour)
        body = canvas.mask(thing)
        shadow = ImageChops.offset(body, 7, 9).filter(ImageFilter.GaussianBlur(5))
        image.paste(
            mix(canvas.ground_colour, (0, 0, 0), 0.5), mask=shadow.point(lambda v: int(v * 0.7))
        )
        image.paste(mix(colour, (0, 0, 0), 0.72), mask=body)
        lit = ImageChops.offset(canvas.mask(thing, -2.5), -4, -5).filter(
            ImageFilter.GaussianBlur(4)
        )
        image.paste(colour, mask=ImageChops.multiply(lit, body))
        shine = replace(
            thing,
            shape="circle",
            radius=thing.radius * 0.2,
            x=thing.x - 0.3 * thing.radius,
            y=thing.y - 0.25 * thing.radius,
        )
        gloss = canvas.mask(shine).filter(ImageFilter.GaussianBlur(4))
        image.paste(mix(colour, (255, 255, 255), 0.35), mask=ImageChops.multiply(gloss, body))
    canvas.decorate(image)
    return image


_STYLES: Final = {
    "flat": _flat,
    "ink": _ink,
    "sketch": _sketch,
    "neon": _neon,
    "pixel": _pixel,
    "clay": _clay,
}
