"""The engine's result: the images, or the words for one, and their recipe."""

from collections.abc import Callable
from dataclasses import dataclass, field

import PIL.Image

from bot.progress import Notice
from bot.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PaintedImage:
    """One generated image.

    image: mode RGB, in the request's final size.
    pixels_sha256: hex digest of `image.tobytes()`: rows from the top, three bytes per pixel.
    """

    seed: int
    image: PIL.Image.Image
    pixels_sha256: str


OnPainted = Callable[[PaintedImage], None]
"""Is told of each image as soon as it is there, in the engine thread; must return at once."""


def unheard(_: PaintedImage) -> None:
    """An OnPainted for callers that wait for all images."""


@dataclass(frozen=True, slots=True)
class Painting:
    """All images of one request, in order, with their recipe.

    words: what is in the image of `request.describe`, in one line; there are no images then.
    """

    images: tuple[PaintedImage, ...]
    recipe: Recipe
    warnings: tuple[Notice, ...]
    words: str | None = field(default=None, repr=False)
