"""The memory that Chroma needs on a card.

The weights take 25.6 GiB in 16 bits: transformer 16.6, text encoder 8.9, VAE 0.2. Decoding is
SDXL's peak, up to 4.3 GiB for 1024×1024 in 16 bits, because the decoder is as wide. These figures
are sums and other programs'; ours have not been measured on cards of these sizes yet.

So with 24 GB, the transformer has room in 16 bits while the text encoder is away, and leaves while
the VAE decodes. With 16 GB it has in 8 bits, which is 8.6 GiB. With 11 GB, 22 of its 57 blocks take
turns in 8 bits, 3.1 GiB that are copied at every evaluation, of which a step with guidance is two;
with 8 GB it is 36 and 5.1 GiB, and 6 of the text encoder's 24 blocks, as it takes 4.6 GiB.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Leaving, Profile

TOO_LARGE_ON: Final = frozenset((Profile.GB16, Profile.GB11, Profile.GB8))
"""Where the transformer does not fit in 16 bits."""
LEAVING: Final = Leaving(text_encoders=frozenset(Profile), denoiser=frozenset(Profile))
WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
