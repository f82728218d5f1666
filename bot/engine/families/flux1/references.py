"""The picture that Kontext looks at while it denoises, for editing. Imports torch."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from bot.engine.families.flux1.conditioning import References, positions
from bot.engine.families.kl16 import TOKEN_SIDE, scaled
from bot.engine.families.packing import packed, patchified

SIZES: Final = (
    *((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248)),
    *((880, 1184), (944, 1104), (1024, 1024), (1104, 944), (1184, 880), (1248, 832)),
    *((1328, 800), (1392, 752), (1456, 720), (1504, 688), (1568, 672)),
)
"""Width and height of what it was trained with (black-forest-labs/flux src/flux/util.py,
`PREFERED_KONTEXT_RESOLUTIONS`)."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Pixels from -1 to 1, shape (1, 3, height, width) → the VAE's most probable latents of them, shape
(1, 16, height/8, width/8)."""


def encoded(vae: Any, pictures: Sequence[PIL.Image.Image], encode: Encode) -> References | None:
    """What `Conditioning` takes of up to one picture, RGB; None without any."""
    if not pictures:
        return None
    (picture,) = pictures
    pixels = VaeImageProcessor(vae_scale_factor=TOKEN_SIDE).preprocess(fitted(picture))
    patches = patchified(scaled(vae, encode(pixels.to(vae.device, vae.dtype))))
    _, _, height, width = patches.shape
    return References(packed(patches), positions(patches.device, height, width, picture=1))


def fitted(picture: PIL.Image.Image) -> PIL.Image.Image:
    """`picture`, scaled to that of SIZES whose shape is most like its own.

    As diffusers' FluxKontextPipeline does.
    """
    ratio = picture.width / picture.height
    _, *size = min((abs(ratio - width / height), width, height) for width, height in SIZES)
    width, height = (side // TOKEN_SIDE * TOKEN_SIDE for side in size)
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS)
