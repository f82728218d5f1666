"""How much of a model stays on the device while a picture is painted.

Chosen from settings, the card's size and the picture's, never from the memory that happens to be
free: tiling changes bits, and the same request must give the same ones.

An SDXL model in 16 bits takes 6.5 GiB: UNet 4.8, text encoders 1.5, VAE 0.2; an IP-Adapter 0.7
more. Painting 1024×1024 adds 0.3. Decoding it makes the peak: torch reserves up to 4.3 GiB in 16
bits, as InvokeAI, Forge and ComfyUI plan for. So on small cards what does not decode leaves before
it, and above some size it is done in tiles. These figures are sums and other programs'; nobody has
measured ours on cards of these sizes yet.

The smallest card has its UNet parked, a copy of some tenths of a second per picture, rather than
quantised with adapters beside it in PEFT's layers. In 8 bits it would be 2.4 GiB smaller all the
time, but it is only too large while the VAE decodes, which does not need it. And quantised weights
cannot be patched in place: adapters would cost time at every step and memory, most families could
not be had at all, and pictures would have other bits than on every other card.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GIB: Final = 2**30
MEGAPIXEL: Final = 1_000_000


class Profile(StrEnum):
    """What the memory of a card allows, named after the card."""

    FULL = "full"
    GB16 = "16gb"
    GB11 = "11gb"
    GB8 = "8gb"

    @property
    def sparing(self) -> "Profile | None":
        """The next one that needs less, or None.

        Under `full` that is not `16gb`, which keeps as much on the card and only decodes large
        pictures in tiles: for a usual one the same would be tried again.
        """
        return {
            Profile.FULL: Profile.GB11,
            Profile.GB16: Profile.GB11,
            Profile.GB11: Profile.GB8,
        }.get(self)


def profile_for(asked: str, capacity: int) -> Profile:
    """asked: `auto` or a profile. capacity: bytes of the card, see `Place.capacity`."""
    if asked != "auto":
        return Profile(asked)
    fitting = (profile for profile, least in SMALLEST.items() if capacity >= least * GIB)
    return next(fitting, Profile.GB8)


SMALLEST: Final = {Profile.FULL: 20, Profile.GB16: 15, Profile.GB11: 10.3}
"""GiB that the driver must say a card has; 11 and 16 GB on the box are a little less."""

_WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB16: 1.6 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; half of it where it is upcast. What that takes
grows with the pixels; 1216×832 is still below 1.1 million."""

TILE: Final = 512
"""Pixels a side of a tile: 0.4 GiB in fp16, at some 50 % more arithmetic."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one picture.

    park_text_encoders: after encoding the prompt (1.5 GiB). park_unet: while the VAE works
    (4.8 GiB). park_reference: the IP-Adapter's layers, while the VAE works (0.7 GiB).
    tiled: the VAE works in tiles; the only one of these that changes bits.
    """

    park_text_encoders: bool
    park_unet: bool
    park_reference: bool
    tiled: bool


def plan(profile: Profile, width: int, height: int, *, upcast: bool) -> Plan:
    """For a picture whose final size, after a second pass, is that in pixels.

    upcast: whether the VAE computes in numbers twice as wide as the rest.
    """
    weight = width * height * (2 if upcast else 1)
    small = profile in (Profile.GB11, Profile.GB8)
    return Plan(
        park_text_encoders=small,
        park_unet=profile is Profile.GB8,
        park_reference=small,
        tiled=weight > _WHOLE[profile],
    )
