"""From a scene to its image."""

import random

from PIL import Image

from tools.demo.pictures.canvas import Canvas
from tools.demo.pictures.layout import lay_out
from tools.demo.pictures.scenes import SIDE, Scene
from tools.demo.pictures.styles import STYLES


def render(
    scene: Scene, rng: random.Random, style: str = "flat", width: int = SIDE, height: int = SIDE
) -> Image.Image:
    """Draw a scene: RGB, `width`×`height`. The same `rng` gives the same image."""
    things = lay_out(scene, rng, width, height)
    paint_seed = rng.random()
    draw = STYLES[style]
    big = Canvas(scene, things, width, height, random.Random(paint_seed))
    return draw(big).resize((width, height), Image.Resampling.BOX)
