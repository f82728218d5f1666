"""Stable Diffusion 1.5 (arXiv 2112.10752): a CLIP text encoder, a UNet, a VAE. Imports torch.

    family.py    the Family interface
    networks.py  its text encoder and its UNet
    text.py      prompts → embeddings
    latents.py   scale and preview colours of latents
    memory.py    memory needed on a card

The rest is in `families.unet`. Its predecessors 1.1 to 1.4 are the same but for their weights.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.sd15.family import SD15

FAMILY: Final[Family] = SD15()

__all__ = ["FAMILY", "SD15"]
