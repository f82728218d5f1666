"""Colour profiles: what a camera or an editor meant by its numbers, as sRGB."""

import io
import logging
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageChops, ImageCms

log = logging.getLogger(__name__)

PROFILE_MAX: Final = 4 * 1024 * 1024
"""In bytes. Printers' profiles have up to 3 MB; cameras' and screens' a few hundred bytes."""
SAME: Final = 2
"""Levels, of 255, within which a profile is taken for sRGB: rounding alone makes as many."""

_CLASSES: Final = (b"scnr", b"mntr", b"prtr", b"spac")
_CLASS_AT: Final = 12
_ENDLESS: Final = b"mpet"
"""Chains of any number of operations for each pixel, which only films and HDR use."""
_SPACES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}

Conversion = Callable[[Image.Image], Image.Image]


def conversion(profile: bytes, mode: str) -> Conversion | None:
    """What turns images of this mode into RGB images in sRGB; None if they are that already.

    profile: as found in a file. mode: RGB, L or CMYK. A profile that is broken, or is for another
    kind of image, is ignored, and the log says so.
    """
    try:
        return _conversion(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.info("an input image's colour profile is ignored: %s", error)
        return None


def _conversion(profile: bytes, mode: str) -> Conversion | None:
    if len(profile) > PROFILE_MAX:
        raise ValueError(f"it has {len(profile)} bytes; the limit is {PROFILE_MAX}")
    kind = profile[_CLASS_AT : _CLASS_AT + 4]
    if kind not in _CLASSES or _ENDLESS in profile:
        raise ValueError(f"it is of a kind that is not used for images: {kind!r}")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = opened.profile.xcolor_space.strip()
    wanted = _SPACES.get(space, "")
    if wanted != mode and (wanted, mode) != ("RGB", "L"):
        raise ValueError(f"it is for {space!r} and the image is {mode}")
    made = ImageCms.buildTransform(
        opened,
        ImageCms.createProfile("sRGB"),
        wanted,
        "RGB",
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )

    def convert(image: Image.Image) -> Image.Image:
        return made.apply(image if image.mode == wanted else image.convert(wanted))

    return None if wanted != "CMYK" and _is_srgb(convert, mode) else convert


def _is_srgb(convert: Conversion, mode: str) -> bool:
    """Whether a sample of all colours stays as it is."""
    sample = Image.linear_gradient("L")
    if mode == "RGB":
        steps = bytes(range(0, 256, 17))
        cube = b"".join(bytes((r, g, b)) for r in steps for g in steps for b in steps)
        sample = Image.frombytes("RGB", (64, 64), cube)
    changes = ImageChops.difference(convert(sample), sample.convert("RGB")).getextrema()
    return all(most <= SAME for _, most in changes)  # type: ignore[misc]
