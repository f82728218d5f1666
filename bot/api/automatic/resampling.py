"""Enlarging and stretching images by plain resampling, with Pillow. Everything here blocks."""

import io
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from PIL import Image

from bot.api.automatic.bodies import Extras
from bot.errors import InvalidRequest
from bot.files.decoding import MaskReading
from bot.files.inputs import MASK, PIXELS_MAX, checked_png

NONE: Final = "None"
UPSCALERS: Final[Mapping[str, Image.Resampling | None]] = {
    NONE: None,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
STEP: Final = 8
"""AUTOMATIC1111 makes both sides multiples of it."""
LISTED_SCALE: Final = 4
Target: TypeAlias = tuple[tuple[int, int], tuple[int, int, int, int] | None]
"""The size to enlarge an image to, and what to cut out of that."""
WHITE: Final = 255
ROUNDED_UP: Final = 128
"""The darkest grey of a mask that `mask_round` makes white: AUTOMATIC1111 rounds the mask of its
latents, level / 255, to 0 or 1."""


def listed_upscalers() -> list[dict[str, Any]]:
    """For `GET /upscalers`."""
    return [
        {
            "name": name,
            "model_name": None,
            "model_path": None,
            "model_url": None,
            "scale": LISTED_SCALE,
        }
        for name in UPSCALERS
    ]


def enlarged(data: bytes, asked: Extras) -> bytes:
    """The image file `data`, enlarged, as a PNG.

    Raises InvalidRequest if it cannot be read, if something other than resampling is asked for, or
    if the result would be too large.
    """
    check_faces(asked)
    first = _upscaler("upscaler_1", asked.upscaler_1)
    visible = asked.extras_upscaler_2_visibility
    second = _upscaler("upscaler_2", asked.upscaler_2) if visible > 0 else None
    image = _opened(data)
    if first is None:  # then AUTOMATIC1111 leaves the image as it is
        return _png(image)
    size, box = _target(image.size, asked)
    result = image.resize(size, first)
    if second is not None:
        result = Image.blend(result, image.resize(size, second), visible)
    return _png(result.crop(box) if box else result)


def check_faces(asked: Extras) -> None:
    """Raise InvalidRequest if faces are to be restored."""
    for field in ("gfpgan_visibility", "codeformer_visibility"):
        if getattr(asked, field):
            raise InvalidRequest(field, "api.automatic.faces")


def target_of(data: bytes, asked: Extras) -> tuple[tuple[int, int], Target]:
    """The size of the image file `data`, and what it is to become. Raises InvalidRequest."""
    size = _opened(data).size
    return size, _target(size, asked)


def fitted(png: bytes, size: tuple[int, int], box: tuple[int, int, int, int] | None) -> bytes:
    """An image of ours at `size`, cut to `box`; as it is if it is that already."""
    with Image.open(io.BytesIO(png)) as image:
        if image.size == size and box is None:
            return png
        result = image.resize(size, Image.Resampling.LANCZOS)
        return _png(result.crop(box) if box else result)


def _opened(data: bytes) -> Image.Image:
    """Raises InvalidRequest."""
    with Image.open(io.BytesIO(checked_png(data, "image"))) as image:
        image.load()
    return image


def stretched(data: bytes, size: tuple[int, int], field: str = "init_images") -> bytes:
    """The image file `data` at `size`, whatever its shape, as a PNG. field: what the caller calls
    it. Raises InvalidRequest."""
    png = checked_png(data, field)
    with Image.open(io.BytesIO(png)) as image:
        if image.size == size:
            return png
        _check("width, height", f"{size[0]}x{size[1]}", size)
        return _png(image.resize(size, Image.Resampling.LANCZOS))


def mask_of(data: bytes, size: tuple[int, int] | None, *, inverted: bool, rounded: bool) -> bytes:
    """The image file `data`, a mask, as a grey PNG in which what is to be changed is white.

    size: to stretch it to. inverted: whether it says what is to be kept. rounded: whether grey
    becomes black or white. Raises InvalidRequest.
    """
    png = checked_png(data, MASK, MaskReading(opaque=True, inverted=inverted))
    with Image.open(io.BytesIO(png)) as opened:
        # Lanczos rings: what is to be kept near an edge would be changed a little.
        mask = opened if size is None else opened.resize(size, Image.Resampling.BILINEAR)
        if rounded:
            mask = mask.point(lambda level: WHITE if level >= ROUNDED_UP else 0)
            if not mask.getbbox():
                raise InvalidRequest(MASK, "api.automatic.rounded")
        return _png(mask)


def _upscaler(field: str, name: str | None) -> Image.Resampling | None:
    name = name or NONE
    if name not in UPSCALERS:
        raise InvalidRequest(
            field, "api.automatic.upscaler", value=name[:100], allowed=tuple(UPSCALERS)
        )
    return UPSCALERS[name]


def _target(size: tuple[int, int], asked: Extras) -> Target:
    """The size to enlarge to, and what to cut out of that."""
    if asked.resize_mode == 0:
        scale, field, value = asked.upscaling_resize, "upscaling_resize", asked.upscaling_resize
    else:
        wanted = (asked.upscaling_resize_w, asked.upscaling_resize_h)
        scale = max(to / side for to, side in zip(wanted, size, strict=True))
        field, value = "upscaling_resize_w, upscaling_resize_h", scale
    width, height = (side * scale for side in size)
    _check(field, f"{value:g}", (width, height))
    target = tuple(max(STEP, int(side) // STEP * STEP) for side in (width, height))
    if asked.resize_mode == 0 or not asked.upscaling_crop:
        return (target[0], target[1]), None
    # Rounding down must not make it smaller than what is cut out.
    whole = max(target[0], wanted[0]), max(target[1], wanted[1])
    left, top = ((side - to) // 2 for side, to in zip(whole, wanted, strict=True))
    return whole, (left, top, left + wanted[0], top + wanted[1])


def _check(field: str, value: str, size: tuple[float, float]) -> None:
    width, height = size
    if not width * height <= PIXELS_MAX:
        raise InvalidRequest(
            field,
            "api.automatic.large",
            value=value,
            megapixels=width * height / 1e6,
            max=PIXELS_MAX // 10**6,
        )


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
