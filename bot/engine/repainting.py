"""Paint over an enlarged image, a little: in one piece, or in tiles where it is too large for that.

Imports torch; runs in the engine thread only.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import PIL.Image
import torch

from bot.engine import sampling
from bot.engine.passes import Pass, Prepared, Size, begun
from bot.engine.upscaling.tiles import Floats, Grid, blended, grid
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.request import SEED_MAX
from catalog import ModelEntry

OVERLAPS: Final = 8
"""Neighbouring tiles share at least one in so many of their pixels."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image to paint over, with sides that the model can generate, and its tiles.

    size: what is left of it in the end.
    """

    image: PIL.Image.Image
    size: Size
    tiles: Grid

    @property
    def tile(self) -> Size:
        """Width and height of a tile."""
        return self.tiles.width, self.tiles.height


def canvas(image: PIL.Image.Image, entry: ModelEntry) -> Canvas:
    """Whole up to the size of a second pass, otherwise in tiles of the model's usual size."""
    step = entry.family.pixel_step
    width, height = (-(-side // step) * step for side in image.size)
    padding = ((0, height - image.height), (0, width - image.width), (0, 0))
    padded = PIL.Image.fromarray(np.pad(np.asarray(image), padding, "edge"))
    side = max(width, height)
    if not fits_whole(width, height, entry):
        side = int((entry.size[0] * entry.size[1]) ** 0.5) // step * step
    overlap = side // OVERLAPS // step * step
    return Canvas(padded, image.size, grid((width, height), side, overlap, step))


def fits_whole(width: int, height: int, entry: ModelEntry) -> bool:
    """Whether the model paints over an image of this size in one piece, as a second pass would."""
    family = entry.family
    return max(width, height) <= family.hires_max_side and width * height <= family.hires_max_pixels


def repaint(prepared: Prepared, canvas: Canvas) -> tuple[PaintedImage, Any]:
    """Paint over `canvas` as its request's upscale says; returns the image and a scheduler.

    Each tile has noise of its own, from the seed and its number.
    """
    request = prepared.request
    strength = request.upscale and request.upscale.strength
    taken = sampling.taken(request.steps, strength or 0.0)
    tiles, done = canvas.tiles, 0
    scheduler: Any = None

    def report(progress: Progress) -> None:
        step = (done * taken) + progress.step
        preview = progress.preview if tiles.count == 1 else None
        prepared.report(replace(progress, step=step, steps=tiles.count * taken, preview=preview))

    reporting = replace(prepared, report=report)

    def make(box: tuple[int, int, int, int]) -> Floats:
        nonlocal done, scheduler
        seed = (request.seed + done) % (SEED_MAX + 1)
        generators = ((torch.Generator("cpu").manual_seed(seed), 1.0),)
        tile = canvas.image.crop(box)
        here = Progress(Stage.PAINTING, steps=taken, larger=True)
        pass_ = Pass(
            reporting, reporting.encoded[0][0], canvas.tile, request.steps, taken, generators, here
        )
        latents, scheduler = pass_.denoised(begun(prepared, tile))
        painted = pass_.decoded(latents)
        done += 1
        return np.asarray(painted, np.float32) / np.float32(255)

    image = blended(canvas.image.size, tiles, 1, make).crop((0, 0, *canvas.size))
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return PaintedImage(request.image_seed(0), image, digest), scheduler
