"""The memory that Z-Image needs on a card.

The weights take 18.9 GiB in 16 bits: transformer 11.5, text encoder 7.3 (35 of its 36 layers), VAE
0.2. Decoding is SDXL's peak, up to 4.3 GiB for 1024×1024 in 16 bits, because the decoder is as
wide. These figures are sums and other programs'; ours have not been measured on cards of these
sizes yet.

So with 16 GB, the transformer has room while the text encoder and the VAE are away; with 11 GB it
has in 8 bits, which is 5.9 GiB, or with more than half of its blocks taking turns. With 8 GB, 5.9
is more than `ROOM` counts on: 13 of its 34 blocks take turns in 8 bits, 2.2 GiB that are copied at
every step, and 3 of the text encoder's 35, as it takes 4.02 GiB. In 16 bits it would be 25 blocks
and 8.4 GiB.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Leaving, Profile

TOO_LARGE_ON: Final = frozenset((Profile.GB11, Profile.GB8))
"""Where the transformer does not fit in 16 bits."""
LEAVING: Final = Leaving(
    text_encoders=frozenset((Profile.FULL, Profile.GB16, Profile.GB11, Profile.GB8)),
    denoiser=frozenset((Profile.GB16, Profile.GB11, Profile.GB8)),
)
WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
