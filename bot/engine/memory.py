"""How much of a model stays on the device while a picture is painted.

Chosen from settings, the card's size and the picture's, never from the memory that happens to be
free: tiling changes bits, and the same request must give the same ones.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GIB: Final = 2**30
MEGAPIXEL: Final = 1_000_000


class Profile(StrEnum):
    """What the memory of a card allows, named after the card."""

    FULL = "full"
    GB11 = "11gb"
    GB8 = "8gb"

    @property
    def sparing(self) -> "Profile | None":
        """The next one that needs less, or None."""
        return {Profile.FULL: Profile.GB11, Profile.GB11: Profile.GB8}.get(self)


def profile_for(asked: str, capacity: int) -> Profile:
    """asked: `auto` or a profile. capacity: bytes of the card, see `Place.capacity`."""
    if asked != "auto":
        return Profile(asked)
    if capacity >= 15 * GIB:
        return Profile.FULL
    return Profile.GB11 if capacity >= 10.3 * GIB else Profile.GB8


_WHOLE: Final = {
    Profile.FULL: 2.5 * MEGAPIXEL,
    Profile.GB11: 1.1 * MEGAPIXEL,
    Profile.GB8: 1.1 * MEGAPIXEL,
}
"""Pixels up to which the VAE decodes in one piece; half of it where it is upcast. In fp16 1024×1024
takes up to 4.3 GiB, and it grows with the pixels; 1216×832 is still below 1.1 million."""

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
    return Plan(
        park_text_encoders=profile is not Profile.FULL,
        park_unet=profile is Profile.GB8,
        park_reference=profile is not Profile.FULL,
        tiled=weight > _WHOLE[profile],
    )
