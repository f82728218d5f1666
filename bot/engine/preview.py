"""What a picture is becoming, while it is painted: a linear map of its latents, no VAE."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Final

import PIL.Image
import torch

from bot.engine.denoise import Estimate

WEIGHTS: Final = (
    (60.0, -60.0, 25.0, -70.0),
    (60.0, -5.0, 15.0, -50.0),
    (60.0, 10.0, -5.0, -35.0),
)
BIASES: Final = (150.0, 140.0, 130.0)
"""Red, green and blue, 0–255, of SDXL's four latent channels: diffusers' documentation,
docs/source/en/using-diffusers/callback.md, "Display image after each generation step", after
https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space."""

SIDE: Final = 256
"""Pixels of a preview's longer side."""
QUALITY: Final = 80


class Preview:
    """The previews of one job: at most one in `interval` seconds, the first after as many.

    clock: seconds that only grow.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._due = clock() + interval

    def of(self, estimate: Estimate) -> bytes | None:
        """A JPEG of what the picture is becoming, or None where it is too early for one.

        Only then is `estimate` called, and the device waited for.
        """
        if self._clock() < self._due:
            return None
        jpeg = encoded(picture(estimate()))
        self._due = self._clock() + self._interval
        return jpeg


def picture(latents: torch.Tensor) -> PIL.Image.Image:
    """SDXL latents, shape (1, 4, height/8, width/8), any device and dtype, as RGB of that size."""
    channels = latents[0].float().cpu()  # one copy, 64 KiB for a megapixel
    colours = torch.einsum("chw,rc->hwr", channels, torch.tensor(WEIGHTS)) + torch.tensor(BIASES)
    return PIL.Image.fromarray(colours.clamp(0, 255).byte().numpy())


def encoded(image: PIL.Image.Image) -> bytes:
    """`image` as a JPEG, scaled so that its longer side is SIDE pixels."""
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = BytesIO()
    image.resize(size, PIL.Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
