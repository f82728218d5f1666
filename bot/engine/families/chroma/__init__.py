"""Chroma1 (Lodestone Rock, August 2025): a smaller FLUX.1 schnell, undistilled. Imports torch.

    family.py          the Family interface
    configurations.py  what configurations may say
    networks.py        modules, and their names in files
    original.py        the authors' names of the transformer's modules
    clamping.py        what keeps the transformer within the range of float16
    text.py            prompts → hidden states
    conditioning.py    hidden states and positions → the transformer's inputs
    schedule.py        noise levels by size and steps
    memory.py          memory needed on a card

Its text encoder is T5 v1.1 XXL, its VAE FLUX.1's. A prompt is read as it is: this family has no
weights in brackets.
"""

from typing import Final

from bot.engine.families.chroma.family import Chroma
from bot.engine.families.family import Family

FAMILY: Final[Family] = Chroma()

__all__ = ["FAMILY", "Chroma"]
