"""FLUX.2 klein (Black Forest Labs, January 2026): Qwen3, a transformer, a VAE. Imports torch.

    family.py          the Family interface
    configurations.py  what configurations and tokenizers may say
    networks.py        modules, and their names in files
    original.py        Black Forest Labs' names of the transformer's modules, in files and adapters
    clamping.py        what keeps the transformer within the range of float16
    text.py            prompts → hidden states
    conditioning.py    hidden states, positions and pictures → the transformer's inputs
    references.py      pictures → tokens beside the image's own
    latents.py         shape, scale and preview colours of latents
    schedule.py        noise levels by size and steps
    memory.py          memory needed on a card

A prompt is read as it is: this family has no weights in brackets.
"""

from typing import Final

from bot.engine.families.family import Family
from bot.engine.families.flux2.family import Flux2

FAMILY: Final[Family] = Flux2()

__all__ = ["FAMILY", "Flux2"]
