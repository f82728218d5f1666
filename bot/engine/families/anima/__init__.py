"""Anima (CircleStone Labs and Comfy Org, 2026). Imports torch.

    family.py          the Family interface
    configurations.py  what configurations may say
    networks.py        modules, and their names in files
    original.py        the authors' names of the denoiser's modules
    residual.py        what keeps the transformer within the range of float16
    text.py            prompts → what the transformer is given of them
    conditioning.py    the transformer's inputs at each step
    memory.py          memory needed on a card

Its denoiser is Cosmos-Predict2 of 2 billion parameters (NVIDIA, 2025), its text encoder Qwen3, its
VAE Qwen-Image's. Between them is a text conditioner, which the authors' files have inside the
denoiser: it goes through a prompt as T5 splits it, and looks up in Qwen3's states what that means.
A prompt is read as it is: this family has no weights in brackets.
"""

from typing import Final

from bot.engine.families.anima.family import Anima
from bot.engine.families.family import Family

FAMILY: Final[Family] = Anima()

__all__ = ["FAMILY", "Anima"]
