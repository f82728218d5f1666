"""Krea 2 (Krea AI, June 2026). Imports torch.

    family.py          the Family interface
    configurations.py  what configurations may say
    networks.py        modules, and their names in files
    original.py        the authors' names of the transformer's modules
    clamping.py        what keeps the transformer within the range of float16
    text.py            prompts → hidden states of several layers
    conditioning.py    hidden states and positions → the transformer's inputs
    schedule.py        noise levels by variant and size
    memory.py          memory needed on a card

Its text encoder is Qwen3-VL without the half that reads images, its VAE Qwen-Image's. A prompt is
read as it is: this family has no weights in brackets.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.krea2.family import Krea2

FAMILY: Final[Family] = Krea2()

__all__ = ["FAMILY", "Krea2"]
