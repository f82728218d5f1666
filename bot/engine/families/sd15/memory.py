"""The memory that SD 1.5 needs on a card.

The weights take 2.0 GiB in 16 bits: UNet 1.6, text encoder 0.2, VAE 0.2; 4.5 less than SDXL's. The
VAE is built like SDXL's, so decoding takes the same for as many pixels: 4.3 GiB for 1024×1024 in 16
bits (see `sdxl.memory`), in proportion to them. Each bound below is what the smallest card of its
profile has left for that, beside the weights that stay there and half a GiB for the driver:

    full  20 GiB: 17.5 left, enough for the largest image of a second pass
    16gb  15 GiB: 12.5 left
    11gb  10.3 GiB: 8.0 left, with the text encoder parked
    8gb   as for SDXL, with the UNet parked too: the profile is also that of cards of 6 GB, where
          it makes the difference, and 1.6 GiB are copied in a fraction of a second

The figures are sums; they have not been measured on cards of these sizes yet.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Profile

WHOLE: Final = {
    Profile.FULL: 4.2 * MEGAPIXEL,
    Profile.GB16: 3.0 * MEGAPIXEL,
    Profile.GB11: 1.9 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece."""
