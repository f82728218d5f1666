"""How much of a model stays on the device while an image is generated.

Chosen from the settings, the card's size and the image's, never from the memory that happens to be
free: tiling changes bits, and the same request must give the same bits.

Decoding is the peak. On small cards, networks that do not decode leave the card first, and above
some size the VAE decodes in tiles. What a family needs is in its folder.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GIB: Final = 2**30
MEGAPIXEL: Final = 1_000_000


class Profile(StrEnum):
    """What a card's memory allows, named after the card's size."""

    FULL = "full"
    GB16 = "16gb"
    GB11 = "11gb"
    GB8 = "8gb"

    @property
    def sparing(self) -> "Profile | None":
        """The next profile that needs less, or None.

        After `full` that is not `16gb`, which keeps as much on the card and only decodes large
        images in tiles; for one of usual size, the same would be tried again.
        """
        return {
            Profile.FULL: Profile.GB11,
            Profile.GB16: Profile.GB11,
            Profile.GB11: Profile.GB8,
        }.get(self)


def profile_for(asked: str, capacity: int) -> Profile:
    """The profile of a card. asked: `auto` or a profile. capacity: bytes; see `Place.capacity`."""
    if asked != "auto":
        return Profile(asked)
    fitting = (profile for profile, least in SMALLEST.items() if capacity >= least * GIB)
    return next(fitting, Profile.GB8)


def in_eight_bits(asked: str, profile: Profile, on: Collection[Profile]) -> bool:
    """Whether large matrices are stored in 8 bits. asked: `auto`, `full` or `int8`.

    on: profiles on which a family's are by itself; see `Family.too_large_on`.
    """
    return profile in on if asked == "auto" else asked == "int8"


def room(profile: Profile, too_large_on: Collection[Profile]) -> int | None:
    """Bytes of the device that each network of a family may take, whatever it is stored as; None:
    as many as it has, as where a card's size is not known.

    too_large_on: see `Family.too_large_on`.
    """
    return ROOM.get(profile) if profile in too_large_on else None


ROOM: Final = {Profile.GB16: 10 * GIB, Profile.GB11: 6 * GIB, Profile.GB8: 4 * GIB}
"""What a card of this size has beside a gigabyte for a screen and other programs, and the 2 or 3
that a pass takes. By what other programs take; not measured yet."""

TOGETHER: Final = {Profile.GB11: 13 * GIB // 2, Profile.GB8: 11 * GIB // 2}
"""Bytes of the device that a denoiser and its ControlNets may take on small cards. SDXL's UNet has
4.8 GiB and a ControlNet of it 2.3, of which 0.4 cannot take turns. By what a pass takes; not
measured yet."""

CONTROLS_STAY: Final = {Profile.FULL: 2, Profile.GB16: 1}
"""Beside an SDXL model, decoding has room for so many ControlNets. By what their weights and
decoding take; not measured yet."""

SMALLEST: Final = {Profile.FULL: 20, Profile.GB16: 15, Profile.GB11: 10.3}
"""GiB that the driver must report for a card; a little less than the 11 and 16 GB on the box."""

COMPILING: Final = frozenset((Profile.FULL, Profile.GB16))
"""Where there is room to compile: the denoiser runs once more then, in parallel to a job, while
whatever else the job needs is on the device. By what the families' weights and the passes take; not
measured yet."""

TILE: Final = 512
"""Pixels per side of a tile: 0.4 GiB in fp16 for SDXL's VAE, at some 50 % more arithmetic."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """On which profiles a family's networks leave the device while they have nothing to do.

    text_encoders: once the prompt is encoded. denoiser: while any other network runs, which costs
        two copies of its weights for each image.
    """

    text_encoders: frozenset[Profile]
    denoiser: frozenset[Profile]


USUAL: Final = Leaving(
    text_encoders=frozenset((Profile.GB11, Profile.GB8)), denoiser=frozenset((Profile.GB8,))
)
"""For a family whose weights take some 7 GiB, or less."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one image.

    park_text_encoders: after encoding the prompt. park_denoiser: while the VAE runs.
    park_reference: the IP-Adapter's layers, while the VAE runs.
    controls_stay: how many ControlNets stay on the device while the VAE runs.
    tiled: the VAE runs in tiles; the only one of these that changes bits.
    compiling: whether the denoiser may be compiled in parallel to jobs: it stays on the device, as
        a whole, and there is room for it to run once more.
    room: bytes of the device that each of the other networks may take; blocks of one that has more
        take turns there. None: as many as it has.
    together: the same for the denoiser with its ControlNets, of which blocks take turns then.
    """

    park_text_encoders: bool
    park_denoiser: bool
    park_reference: bool
    tiled: bool
    compiling: bool
    room: int | None = None
    together: int | None = None
    controls_stay: int = 0


def plan(
    profile: Profile,
    whole: Mapping[Profile, float],
    width: int,
    height: int,
    *,
    upcast: bool,
    leaving: Leaving = USUAL,
    room: int | None = None,
    together: int | None = None,
) -> Plan:
    """The plan for an image. width, height: its final size in pixels, after a second pass.

    whole, leaving: see Family. room, together: see Plan.
    upcast: whether the VAE's dtype is twice as wide as the other networks'.
    """
    pixels = width * height * (2 if upcast else 1)
    stays = profile not in leaving.denoiser
    return Plan(
        park_text_encoders=profile in leaving.text_encoders,
        park_denoiser=not stays,
        park_reference=profile in (Profile.GB11, Profile.GB8),
        tiled=pixels > whole[profile],
        compiling=stays and room is None and profile in COMPILING,
        room=room,
        together=together,
        controls_stay=CONTROLS_STAY.get(profile, 0),
    )
