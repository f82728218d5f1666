"""Pictures that the transformer looks at while it denoises, for editing. Imports torch.

They are encoded by the VAE and stand behind the image's own tokens, each at a time of its own
(black-forest-labs/flux2 src/flux2/sampling.py, `encode_image_refs`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from bot.engine.families.flux2.conditioning import References, positions
from bot.engine.families.flux2.latents import VAE_SCALE, scaled
from bot.engine.families.packing import packed
from bot.errors import JobFailed
from catalog.families.flux2 import FLUX2 as FACTS

AREA_MAX: Final = 1024 * 1024
"""Pixels; larger pictures are made smaller."""
APART: Final = 10
"""The first picture's time, and the distance between two."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Pixels from -1 to 1, shape (1, 3, height, width) → the VAE's most probable latents of them, shape
(1, 32, height/8, width/8)."""


def encoded(vae: Any, pictures: Sequence[PIL.Image.Image], encode: Encode) -> References | None:
    """What `Conditioning` takes of `pictures`, RGB; None without any.

    Raises JobFailed for one that is too small or too long.
    """
    if not pictures:
        return None
    processor = VaeImageProcessor(vae_scale_factor=VAE_SCALE)
    latents = []
    for picture in pictures:
        pixels = processor.preprocess(fitted(picture)).to(vae.device, vae.dtype)
        latents.append(scaled(vae, encode(pixels)))
    places = [
        positions(each.device, time=APART * number, height=each.shape[2], width=each.shape[3])
        for number, each in enumerate(latents, 1)
    ]
    return References(torch.cat([*map(packed, latents)], dim=1), torch.cat(places, dim=1))


def fitted(picture: PIL.Image.Image) -> PIL.Image.Image:
    """`picture` of up to AREA_MAX pixels, cropped around its centre to whole latents.

    As diffusers' Flux2KleinPipeline and Flux2ImageProcessor do. Raises JobFailed.
    """
    width, height = picture.size
    least, most = FACTS.picture_side_min, FACTS.picture_ratio_max
    if min(width, height) < least:
        raise JobFailed("picture.small", width=width, height=height, min=least)
    if most is not None and max(width, height) > most * min(width, height):
        raise JobFailed("picture.narrow", width=width, height=height, max=most)
    if width * height > AREA_MAX:
        scale = math.sqrt(AREA_MAX / (width * height))
        size = (int(width * scale), int(height * scale))
        picture = picture.resize(size, PIL.Image.Resampling.LANCZOS)
    width, height = (side // VAE_SCALE * VAE_SCALE for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
