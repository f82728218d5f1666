"""Previews of an unfinished image: a linear map of its latents, without the VAE."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Final

import PIL.Image
import torch

from bot.engine.denoise import Estimate
from bot.engine.families import PreviewFactors

SIDE: Final = 256
"""Pixels of a preview's longer side."""
QUALITY: Final = 80


class Preview:
    """The previews of one job: at most one per `interval` seconds, the first after that time.

    clock: monotonic, in seconds.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._due = clock() + interval

    def of(self, estimate: Estimate, factors: PreviewFactors) -> bytes | None:
        """A JPEG of the unfinished image; None if it is too early for one.

        Only calls `estimate`, and so waits for the device, when a preview is due.
        """
        if self._clock() < self._due:
            return None
        jpeg = encoded(picture(estimate(), factors))
        self._due = self._clock() + self._interval
        return jpeg


def picture(latents: torch.Tensor, factors: PreviewFactors) -> PIL.Image.Image:
    """Latents, shape (1, channels, rows, columns), any device and dtype, as RGB of that size."""
    channels = latents[0].float().cpu()  # one copy, 64 KiB for a megapixel
    colours = torch.einsum("chw,rc->hwr", channels, torch.tensor(factors.weights))
    colours += torch.tensor(factors.biases)
    return PIL.Image.fromarray(colours.clamp(0, 255).byte().numpy())


def encoded(image: PIL.Image.Image) -> bytes:
    """`image` as a JPEG, scaled so that its longer side is SIDE pixels."""
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = BytesIO()
    image.resize(size, PIL.Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
