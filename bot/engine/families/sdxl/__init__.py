"""Stable Diffusion XL (arXiv 2307.01952): two CLIP text encoders, a UNet, a VAE. Imports torch.

    family.py         what the engine sees
    networks.py       modules, and their names in Stability's files
    chunks.py         tokens and weights → chunks of 75
    text.py           chunks → embeddings
    conditioning.py   embeddings and sizes → what the UNet is told
    latents.py        between the VAE's numbers and the UNet's, and colours of a preview
    adapter_names.py  what adapter files call the modules
    memory.py         what it takes on a card

The grammar of prompts is `bot.request.emphasis`, because a request is checked with it long before
torch is there.
"""

from bot.engine.families.sdxl.family import SDXL

__all__ = ["SDXL"]
