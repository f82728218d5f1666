"""The memory that Anima needs on a card.

The weights take 5.2 GiB in 16 bits: transformer 3.7, text encoder 1.1, text conditioner 0.2, VAE
0.2. Decoding takes 2,200 numbers for each pixel (Comfy-Org/ComfyUI comfy/sd.py,
`memory_used_decode`): 4.3 GiB for 1024×1024 in 16 bits, as much as SDXL's. Ours has not been
measured on cards of these sizes yet.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, USUAL, Profile

TOO_LARGE_ON: Final = frozenset[Profile]()
"""It fits everywhere in 16 bits."""
LEAVING: Final = USUAL
WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
