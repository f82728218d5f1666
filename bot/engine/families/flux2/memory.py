"""The memory that FLUX.2 klein 4B needs on a card.

The weights take 13.2 GiB in 16 bits: transformer 7.2, text encoder 5.8 (its 27 layers), VAE 0.2.
Decoding is SDXL's peak, up to 4.3 GiB for 1024×1024 in 16 bits, because the decoder is as wide.
These figures are sums and other programs'; ours have not been measured on cards of these sizes yet.

So with 16 GB, transformer and VAE have room while the text encoder is away; with 11 GB, each of the
three has while the others are. With 8 GB, the transformer in 16 bits has none.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Leaving, Profile

TOO_LARGE_ON: Final = frozenset((Profile.GB8,))
"""Where neither the transformer nor the text encoder fits in 16 bits."""
WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
LEAVING: Final = Leaving(
    text_encoders=frozenset((Profile.GB16, Profile.GB11, Profile.GB8)),
    denoiser=frozenset((Profile.GB11, Profile.GB8)),
)
