"""Stable Diffusion XL (arXiv 2307.01952): two CLIP text encoders, a UNet, a VAE. Imports torch.

    family.py        the Family interface
    networks.py      its text encoders and its UNet
    text.py          prompts → embeddings
    conditioning.py  embeddings and sizes → the UNet's inputs
    latents.py       scale and preview colours of latents
    memory.py        memory needed on a card

The rest is in `families.unet`.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.sdxl.family import SDXL

FAMILY: Final[Family] = SDXL()

__all__ = ["FAMILY", "SDXL"]
