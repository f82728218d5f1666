"""An image as the file that people get."""

from PIL.Image import Image

from bot.files.metadata import compress_png, describe_png
from bot.recipe import Recipe


def encode_png(image: Image, recipe: Recipe, seed: int) -> bytes:
    """The image as a PNG with `parameters` and `imagen` chunks. seed: of this image."""
    return describe_png(compress_png(image), recipe, seed)
