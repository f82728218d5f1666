"""Z-Image (Alibaba Tongyi Lab, November 2025; arXiv 2511.22699). Imports torch.

    family.py          the Family interface
    configurations.py  what configurations may say
    networks.py        modules, and their names in files
    original.py        the authors' names of the transformer's modules
    clamping.py        what keeps the transformer within the range of float16
    text.py            prompts → hidden states
    conditioning.py    hidden states → the transformer's inputs
    schedule.py        noise levels by size and steps
    memory.py          memory needed on a card

Its text encoder is Qwen3, its VAE FLUX.1's (`families.kl16`). A prompt is read as it is: this
family has no weights in brackets.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.zimage.family import ZImage

FAMILY: Final[Family] = ZImage()

__all__ = ["FAMILY", "ZImage"]
