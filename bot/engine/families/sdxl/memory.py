"""The memory that SDXL needs on a card.

The weights take 6.5 GiB in 16 bits: UNet 4.8, text encoders 1.5, VAE 0.2; an IP-Adapter takes 0.7
more. Denoising 1024×1024 adds 0.3. Decoding is the peak: torch reserves up to 4.3 GiB in 16 bits,
which is what InvokeAI, Forge and ComfyUI plan for. These figures are sums and other programs';
ours have not been measured on cards of these sizes yet.

On the smallest card the UNet is parked while the VAE decodes, which costs a copy of some tenths of
a second per image. In 8 bits the UNet would be 2.0 GiB smaller all the time, but it is only in the
way while the VAE decodes, and images would differ from those of every other card. So it is in 8
bits only where the owner says so.
"""

from typing import Final

from bot.engine.memory import MEGAPIXEL, Profile

WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; the memory for it grows with the pixels.
1216×832 is still below 1.1 million."""
