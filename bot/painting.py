"""What painting gives: the images and what made them."""

from dataclasses import dataclass

import PIL.Image

from bot.progress import Notice
from bot.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PaintedImage:
    """One picture.

    image: mode RGB, of the request's width and height.
    pixels_sha256: hex digest of `image.tobytes()`: rows from the top, three bytes a pixel.
    """

    seed: int
    image: PIL.Image.Image
    pixels_sha256: str


@dataclass(frozen=True, slots=True)
class Painting:
    """All pictures of one request, in order, and what made them."""

    images: tuple[PaintedImage, ...]
    recipe: Recipe
    warnings: tuple[Notice, ...]
