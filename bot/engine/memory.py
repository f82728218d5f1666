"""How much of a model stays on the device while a picture is painted.

Chosen from settings, the card's size and the picture's, never from the memory that happens to be
free: tiling changes bits, and the same request must give the same ones.

Decoding makes the peak. So on small cards what does not decode leaves before it, and above some
size it is done in tiles. What a family takes is in its folder.
"""

from collections.abc import Mapping
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

TILE: Final = 512
"""Pixels a side of a tile: 0.4 GiB in fp16 for SDXL's VAE, at some 50 % more arithmetic."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one picture.

    park_text_encoders: after encoding the prompt. park_denoiser: while the VAE works.
    park_reference: the IP-Adapter's layers, while the VAE works.
    tiled: the VAE works in tiles; the only one of these that changes bits.
    """

    park_text_encoders: bool
    park_denoiser: bool
    park_reference: bool
    tiled: bool


def plan(
    profile: Profile, whole: Mapping[Profile, float], width: int, height: int, *, upcast: bool
) -> Plan:
    """For a picture whose final size, after a second pass, is that in pixels.

    whole: of the model's family.
    upcast: whether the VAE computes in numbers twice as wide as the rest.
    """
    pixels = width * height * (2 if upcast else 1)
    small = profile in (Profile.GB11, Profile.GB8)
    return Plan(
        park_text_encoders=small,
        park_denoiser=profile is Profile.GB8,
        park_reference=small,
        tiled=pixels > whole[profile],
    )
