"""Images in a request: one to start from, one to be guided by, and a second, larger pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Final, TypeVar

from bot.errors import InvalidRequest, Refused
from bot.request.extending import Extent
from bot.request.model import GenerationRequest
from bot.request.offers import NAMES_SHOWN, check_reference, editing_models
from bot.request.parts import Area, Box, Hires, InitImage, Reference
from bot.request.syntax import at_ratio
from catalog import Catalog, ModelEntry
from catalog.families import Family

Number = TypeVar("Number", int, float)

STRENGTH: Final = (0.05, 0.6, 1.0)
STRENGTH_OF_PART: Final = 1.0
"""The default where only a part of the image is changed: what is there makes room for another."""
MASK_RATIO: Final = 1.02
"""How much wider or narrower than its image a mask may be, as sides are rounded."""
REFERENCE_WEIGHT: Final = (0.0, 0.6, 1.5)
"""Minimum, default, maximum."""
HIRES_SCALES: Final = (1.25, 1.5, 2.0)
HIRES_STRENGTH: Final = 0.4
"""Enough to add detail at the larger size, too little to change what is in the image."""
SCHEDULE_MAX: Final = 900
"""Steps of a whole schedule; models know 1,000 noise levels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that a user gave, turned upright.

    sha256: its key in bot.files.inputs; "" for one that is still to come. measured: whether width
    and height are its own, or only stand for them.
    """

    sha256: str
    width: int
    height: int
    measured: bool = True


AWAITED: Final = Picture("", 1, 1, measured=False)
"""Stands for one of which nothing is known yet."""


def within(name: str, value: Number | None, default: Number, low: Number, high: Number) -> Number:
    """`value`, or `default` if it is None. Raises InvalidRequest when it is out of range."""
    if value is None:
        return default
    # Written so that NaN is rejected too.
    if not low <= value <= high:
        raise InvalidRequest(name, "number.range", value=value, min=low, max=high)
    return value


def hires(
    scale: float | None,
    steps: int,
    strength: float | None,
    taken: int | None,
    most: int,
    pixel_step: int,
) -> Hires | None:
    """The second pass: unless `taken` says how many, the last steps of a schedule like the first's.

    most: how many it may take. pixel_step: of the model's family.
    """
    if scale is None:
        for name, value in (("hires_strength", strength), ("hires_steps", taken)):
            if value is not None:
                raise InvalidRequest(name, "hires.without", value=value)
        return None
    if scale not in HIRES_SCALES:
        scales = tuple(f"{scale:g}" for scale in HIRES_SCALES)
        raise InvalidRequest("hires", "hires.scale", value=scale, scales=scales)
    low, _, high = STRENGTH
    strength = within("hires_strength", strength, HIRES_STRENGTH, low, high)
    second = Hires(scale, strength, steps, pixel_step)
    if taken is None:
        return second
    most = min(most, int(SCHEDULE_MAX * strength))
    return _taking(within("hires_steps", taken, taken, 1, most), second)


def _taking(taken: int, second: Hires) -> Hires:
    """The same, of so many steps."""
    second = replace(second, steps=max(1, int(taken / second.strength)))
    while second.taken < taken:
        second = replace(second, steps=second.steps + 1)
    return second


def init_image(
    picture: Picture | None,
    strength: float | None,
    mask: Picture | None,
    box: Box | None,
    area: Area | None,
) -> InitImage | None:
    """The image to start from. mask: of another picture. box, area: see `InitImage`."""
    low, default, high = STRENGTH
    if mask is not None or box is not None:
        default = STRENGTH_OF_PART
    checked = within("strength", strength, default, low, high)
    if picture is not None:
        if mask is not None:
            _check_mask(mask, picture)
        return InitImage(picture.sha256, checked, mask.sha256 if mask else None, box, area)
    if mask is not None:
        raise InvalidRequest("mask", "mask.without", needed="image")
    if strength is not None:
        raise InvalidRequest("strength", "picture.without", value=strength, needed="image")
    return None


def _check_mask(mask: Picture, picture: Picture) -> None:
    """Raise InvalidRequest for a mask that has not the picture's shape."""
    if not (mask.measured and picture.measured):
        return
    ratio = (mask.width * picture.height) / (mask.height * picture.width)
    if not 1 / MASK_RATIO <= ratio <= MASK_RATIO:
        raise InvalidRequest(
            "mask",
            "mask.shape",
            value=f"{mask.width}×{mask.height}",
            width=picture.width,
            height=picture.height,
        )


def check_kept(request: GenerationRequest) -> None:
    """Raise InvalidRequest for a second pass, which would change what is to be kept."""
    if request.hires is not None and request.init_image and request.init_image.keeps:
        raise InvalidRequest("hires", "hires.kept", value=f"{request.hires.scale:g}")


def reference(
    picture: Picture | None, weight: float | None, catalog: Catalog, model: str
) -> Reference | None:
    """The image to guide the model with that key by."""
    low, default, high = REFERENCE_WEIGHT
    checked = within("reference_weight", weight, default, low, high)
    if picture is not None:
        check_reference(catalog, model)
        return Reference(picture.sha256, checked)
    if weight is not None:
        raise InvalidRequest(
            "reference_weight", "picture.without", value=weight, needed="reference"
        )
    return None


def edited(
    pictures: Sequence[Picture], model: ModelEntry, catalog: Catalog, *, nsfw: bool
) -> tuple[str, ...]:
    """The images to edit. Raises if the model does not edit images, not so many, or none of such a
    size."""
    most = model.pictures_max
    if pictures and not most:
        able = tuple(each.key for each in editing_models(catalog, nsfw=nsfw))
        if not able:
            raise Refused("edit.none")
        raise InvalidRequest("model", "edit.unable", value=model.key, allowed=able[:NAMES_SHOWN])
    if len(pictures) > most:
        raise InvalidRequest("image", "edit.many", value=len(pictures), model=model.key, max=most)
    for picture in pictures:
        if picture.measured:
            _check_editable(picture, model.family)
    return tuple(picture.sha256 for picture in pictures)


def _check_editable(picture: Picture, family: Family) -> None:
    """Raise InvalidRequest if the family cannot edit an image of that size."""
    width, height, least = picture.width, picture.height, family.picture_side_min
    if min(width, height) < least:
        raise InvalidRequest("image", "picture.small", width=width, height=height, min=least)
    most = family.picture_ratio_max
    if most is not None and max(width, height) > most * min(width, height):
        raise InvalidRequest("image", "picture.narrow", width=width, height=height, max=most)


def size_like(picture: Picture, model: ModelEntry) -> tuple[int, int]:
    """The size with the image's aspect ratio at the model's pixel count, within its limits."""
    sides = at_ratio(picture.width, picture.height, model.size, model.family)
    width, height = (min(max(side, model.min_side), model.max_side) for side in sides)
    # A side may have been rounded up or raised to the minimum.
    return _within_pixels(width, height, model, model.max_pixels)


def size_within(
    width: int, height: int, model: ModelEntry, pixels_max: float = inf
) -> tuple[int, int]:
    """The size nearest to that shape which the model can do: as large as asked for, if it can.

    pixels_max: the result has no more, unless even the model's smallest size has.
    """
    width, height = max(width, 1), max(height, 1)
    most = max(model.min_side**2, min(model.max_pixels, pixels_max))
    scale = min(1, model.max_side / max(width, height), sqrt(most / (width * height)))
    scale = max(scale, model.min_side / min(width, height))
    step = model.family.pixel_step
    across, down = (
        min(max(int(side * scale) // step * step, model.min_side), model.max_side)
        for side in (width, height)
    )
    return _within_pixels(across, down, model, most)


def _within_pixels(width: int, height: int, model: ModelEntry, most: float) -> tuple[int, int]:
    """With the longer side shortened until there are at most so many pixels."""
    while width * height > most:
        if width >= height:
            width -= model.family.pixel_step
        else:
            height -= model.family.pixel_step
    return width, height


def size_extended(
    extent: Extent, picture: Picture, model: ModelEntry, pixels_max: float = inf
) -> tuple[int, int]:
    """The size of an image that is extended, where none is given: as much larger as it becomes, or
    of the same size if it is zoomed; as far as the model can. pixels_max: see `size_within`."""
    if extent.box is not None:
        return size_like(picture, model)
    width, height = float(picture.width), float(picture.height)
    if not extent.zoomed:
        width, height = extent.of(width, height)
    return size_within(round(width), round(height), model, pixels_max)


def size_scaled(size: tuple[int, int], scale: float, model: ModelEntry) -> tuple[int, int]:
    """`size` with both sides scaled by at most 1, as far as the model can."""
    if scale == 1:
        return size
    step = model.family.pixel_step
    width, height = (max(model.min_side, round(side * scale / step) * step) for side in size)
    return width, height


def check_final_size(request: GenerationRequest, family: Family) -> None:
    """Raise InvalidRequest if the second pass would make the image too large."""
    width, height = request.final_size
    if request.hires is None:
        return
    if width * height > family.hires_max_pixels or max(width, height) > family.hires_max_side:
        raise InvalidRequest(
            "hires",
            "hires.size",
            value=f"{request.hires.scale:g}",
            width=width,
            height=height,
            megapixels=family.hires_max_pixels / 1e6,
            side=family.hires_max_side,
        )
