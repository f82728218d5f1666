"""The memory that FLUX.1 needs on a card.

The weights take 31.4 GiB in 16 bits: transformer 22.2, T5 8.9, CLIP 0.2, VAE 0.2. Decoding is
SDXL's peak, up to 4.3 GiB for 1024×1024 in 16 bits, because the decoder is as wide. These figures
are sums and other programs'; ours have not been measured on cards of these sizes yet.

So no card of 24 GB has room for the transformer in 16 bits. It is in 8 bits on all of them, and on
larger ones unless IMAGEN_WEIGHTS says otherwise: 11.2 GiB, for which a card of 20 GB has room while
the text encoders are away. On smaller ones, of its 57 blocks so many take turns in 8 bits: 10 with
16 GB, 1.9 GiB that are copied at every step; 30 and 5.8 GiB with 11 GB; 41 and 7.8 GiB with 8 GB,
and there 6 of T5's 24, as it takes 4.6 GiB.
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
