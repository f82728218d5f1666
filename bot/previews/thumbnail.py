"""Small pictures: decoded within bounds, whoever made the file."""

import io
import stat
import zlib
from pathlib import Path
from typing import Final

from PIL import Image

from bot.files.decoding import TooLarge, plain_png
from bot.files.inputs import BYTES_MAX, PIXELS_MAX, SCANS_MAX

SIDE: Final = 512
QUALITY: Final = 80
_DAMAGED: Final = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    zlib.error,
)
"""What Pillow raises for damaged files, see `plain_png`."""


class Unusable(Exception):
    """A picture cannot be shown; the message says why."""


def thumbnail(data: bytes) -> bytes:
    """An image file as a WebP of at most SIDE pixels a side. Blocks. Raises Unusable."""
    try:
        plain = plain_png(data, pixels_max=PIXELS_MAX, scans_max=SCANS_MAX)
        with Image.open(io.BytesIO(plain), formats=("PNG",)) as image:
            image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            file = io.BytesIO()
            image.save(file, "WEBP", quality=QUALITY)
    except TooLarge as error:
        raise Unusable(f"it has {error} pixels, at most {PIXELS_MAX} are allowed") from None
    except _DAMAGED as error:
        raise Unusable(f"it cannot be decoded ({type(error).__name__})") from None
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """What `thumbnail` makes of an image file, as pixels. Blocks. Raises Unusable."""
    with Image.open(io.BytesIO(thumbnail(data)), formats=("WEBP",)) as image:
        return image.convert("RGB")


def read(path: Path) -> bytes:
    """The bytes of a file. Blocks. Raises Unusable."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise Unusable("it is not a file")  # opening a pipe would block forever
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Unusable(f"it cannot be read ({error.strerror})") from None
    if len(data) > BYTES_MAX:
        raise Unusable(f"it is larger than {BYTES_MAX} bytes")
    return data
