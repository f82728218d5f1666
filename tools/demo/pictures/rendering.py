"""From a scene to its image."""

import math
import random
from dataclasses import dataclass

from PIL import Image

from tools.demo.pictures.canvas import Canvas
from tools.demo.pictures.layout import lay_out
from tools.demo.pictures.scenes import SIDE, Scene
from tools.demo.pictures.styles import STYLES


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens to a scene in the end: turned about its middle by `angle` (radians), `across`
    times as wide (mirrored where negative) and `along` times as high, then moved by `x` and `y`
    (shares of its width and height)."""

    angle: float
    across: float
    along: float
    x: float
    y: float

    def inverse(self, width: int, height: int) -> tuple[float, ...]:
        """From a pixel of the result to one of the original, as PIL's affine transform takes it."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        a, b = cosine / self.across, sine / self.across
        d, e = -sine / self.along, cosine / self.along
        x, y = (0.5 + self.x) * width, (0.5 + self.y) * height
        return a, b, width / 2 - a * x - b * y, d, e, height / 2 - d * x - e * y


def render(
    scene: Scene,
    rng: random.Random,
    style: str = "flat",
    width: int = SIDE,
    height: int = SIDE,
    turn: Turn | None = None,
) -> Image.Image:
    """Draw a scene: RGB, `width`×`height`. The same `rng` gives the same image.

    turn: for a scene without land and decor, how it is turned, stretched and moved in the end.
    """
    things = lay_out(scene, rng, width, height)
    paint_seed = rng.random()
    draw = STYLES[style]
    big = draw(Canvas(scene, things, width, height, random.Random(paint_seed)))
    if turn is not None:
        ground = big.getpixel((0, 0))
        affine, smooth = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        big = big.transform(big.size, affine, turn.inverse(*big.size), smooth, fillcolor=ground)
    return big.resize((width, height), Image.Resampling.BOX)
