"""FLUX.1 (Black Forest Labs, August 2024): CLIP, T5, a transformer, a VAE. Imports torch.

    family.py          the Family interface
    configurations.py  what configurations may say
    networks.py        modules, and their names in files
    original.py        Black Forest Labs' names of the transformer's modules
    adapter_names.py   what adapter files call the modules
    clamping.py        what keeps the transformer within the range of float16
    text.py            prompts → T5's states and CLIP's pooled one
    conditioning.py    these, positions, the guidance and a picture → the transformer's inputs
    references.py      a picture → tokens beside the image's own
    schedule.py        noise levels by size and steps
    memory.py          memory needed on a card

Its VAE is in `families.kl16`. A prompt is read as it is: this family has no weights in brackets.
dev and the models that were made from it are guided by a number that the transformer is told.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.flux1.family import Flux1

FAMILY: Final[Family] = Flux1()

__all__ = ["FAMILY", "Flux1"]
