"""The memory that Krea 2 needs on a card.

The weights take 31.4 GiB in 16 bits: transformer 23.9, text encoder 7.3 (35 of its 36 layers), VAE
0.2. Decoding takes 2,200 numbers for each pixel (Comfy-Org/ComfyUI comfy/sd.py,
`memory_used_decode`): 4.3 GiB for 1024×1024 in 16 bits. These figures are sums and other
programs'; ours have not been measured on cards of these sizes yet.

So no card of 24 GB has room for the transformer in 16 bits. It is in 8 bits on all of them, and on
larger ones unless IMAGEN_WEIGHTS says otherwise: 12.2 GiB, for which a card of 20 GB has room while
the text encoder is away. On smaller ones, of its 32 blocks so many take turns in 8 bits: 9 with
16 GB, 3.3 GiB that are copied at every step; 20 and 7.4 GiB with 11 GB; 25 and 9.1 GiB with 8 GB,
and there 3 of the text encoder's 35 layers.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Leaving, Profile

TOO_LARGE_ON: Final = frozenset(Profile)
"""Where the transformer does not fit in 16 bits."""
LEAVING: Final = Leaving(
    text_encoders=frozenset(Profile),
    denoiser=frozenset((Profile.GB16, Profile.GB11, Profile.GB8)),
)
WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
