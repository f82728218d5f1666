"""What SDXL takes on a card.

In 16 bits 6.5 GiB: UNet 4.8, text encoders 1.5, VAE 0.2; an IP-Adapter 0.7 more. Painting
1024×1024 adds 0.3. Decoding it makes the peak: torch reserves up to 4.3 GiB in 16 bits, as
InvokeAI, Forge and ComfyUI plan for. These figures are sums and other programs'; ours
have not been measured on cards of these sizes yet.

The smallest card has its UNet parked, a copy of some tenths of a second per picture, rather than
quantised with adapters beside it in PEFT's layers. In 8 bits it would be 2.4 GiB smaller all the
time, but it is only too large while the VAE decodes, which does not need it. And quantised weights
cannot be patched in place: adapters would cost time at every step and memory, most algorithms could
not be had at all, and pictures would have other bits than on every other card.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Profile

WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece. What that takes grows with the pixels; 1216×832
is still below 1.1 million."""
