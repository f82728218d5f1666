"""Stable Diffusion XL (arXiv 2307.01952): two CLIP text encoders, a UNet, a VAE. Imports torch.

    family.py         the Family interface
    networks.py       modules, and their names in Stability's files
    chunks.py         tokens and weights → chunks of 75
    text.py           chunks → embeddings
    conditioning.py   embeddings and sizes → the UNet's inputs
    latents.py        shape, scale and preview colours of latents
    adapter_names.py  what adapter files call the modules
    memory.py         memory needed on a card

The prompt grammar is in `bot.request.emphasis`, because a request is checked with it long before
torch is imported.
"""

from bot.engine.families.sdxl.family import SDXL

__all__ = ["SDXL"]
