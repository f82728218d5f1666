"""The memory that Z-Image needs on a card.

The weights take 18.5 GiB in 16 bits: transformer 11.5, text encoder 6.9 (35 of its 36 layers), VAE
0.2. Decoding is SDXL's peak, up to 4.3 GiB for 1024×1024 in 16 bits, because the decoder is as
wide. These figures are sums and other programs'; ours have not been measured on cards of these
sizes yet.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Profile

WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels."""
