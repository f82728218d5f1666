"""What all styles draw with: the masks and colours of a scene."""

import math
import random
from typing import Final

from PIL import Image, ImageDraw

from tools.demo.pictures.layout import Thing
from tools.demo.pictures.outlines import outlines
from tools.demo.pictures.scenes import COLOURS, SKIES, Colour, Scene

SUPERSAMPLING: Final = 2


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


def _near(colour: Colour, rng: random.Random) -> Colour:
    r, g, b = (min(255, max(0, c + rng.randint(-9, 9))) for c in colour)
    return r, g, b
