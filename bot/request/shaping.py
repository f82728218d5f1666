"""How large the result of a request is, and where in it an image lies that is extended."""

from dataclasses import dataclass

from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import pictures
from bot.request.draft import Draft
from bot.request.extending import Extent, parse_extent, placed
from bot.request.masked_area import paints_masked
from bot.request.parts import Box
from bot.request.syntax import parse_size
from catalog import ModelEntry


@dataclass(frozen=True, slots=True)
class Shape:
    """width, height: of the result, in pixels. box: of the image; None unless it is extended."""

    width: int
    height: int
    box: Box | None = None


def shaped(draft: Draft, model: ModelEntry, scale: float) -> Shape:
    """The size that was asked for, or the usual one, of which `scale` scales the sides.

    Raises InvalidRequest.
    """
    extent = _extent(draft)
    size = _asked(draft.size, model)
    if size is None:
        size = pictures.size_scaled(usual_size(draft, model), scale, model)
    if extent is None or draft.image is None:
        return Shape(*size)
    box = placed(extent, (draft.image.width, draft.image.height), size)
    if draft.mask is None and box == Box(0, 0, *size):
        raise InvalidRequest("extend", "extend.nothing", value=str(box))
    return Shape(*size, box)


def usual_size(draft: Draft, model: ModelEntry) -> tuple[int, int]:
    """The size of a draft that names none, by its images: their shape, at the pixel count of the
    model. An image of which a part is kept stays as large as it is, as far as the model can, unless
    only the other part is painted.

    Raises InvalidRequest.
    """
    like, extent = draft.shaping, _extent(draft)
    if like is None:
        return model.size
    if extent is not None:
        return pictures.size_extended(extent, like, model)
    if draft.mask is not None and not paints_masked(draft):
        return pictures.size_within(like.width, like.height, model)
    return pictures.size_like(like, model)


def scaled_note(draft: Draft, shape: Shape) -> Notice | None:
    """Says that an image was scaled of which a part is to be kept, where nobody asked for that."""
    image, extent = draft.image, _extent(draft)
    if image is None or not image.measured or (draft.mask is None and extent is None):
        return None
    if paints_masked(draft):
        return None
    if extent is not None and (extent.zoomed or extent.box is not None):
        return None
    box = shape.box or Box(0, 0, shape.width, shape.height)
    if (box.width, box.height) == (image.width, image.height):
        return None
    before, after = f"{image.width}×{image.height}", f"{box.width}×{box.height}"
    return Notice("mask.scaled", {"before": before, "after": after})


def _extent(draft: Draft) -> Extent | None:
    if draft.extend is None or not draft.extend.strip():
        return None
    if draft.image is None:
        raise InvalidRequest("extend", "picture.without", value=draft.extend, needed="image")
    if not draft.image.measured:
        return None  # it is still to come
    return parse_extent(draft.extend, draft.image.width, draft.image.height)


def _asked(text: str | None, model: ModelEntry) -> tuple[int, int] | None:
    if text is None or not text.strip():
        return None
    width, height = parse_size(text, model.size, model.family)
    asked, (across, down) = f"{width}x{height}", pictures.size_within(width, height, model)
    offered, step = f"{across}x{down}", model.family.pixel_step
    if any(not model.min_side <= s <= model.max_side or s % step for s in (width, height)):
        bounds = {"min": model.min_side, "max": model.max_side, "step": step}
        raise InvalidRequest("size", "size.side", value=asked, offered=offered, **bounds)
    if (pixels := width * height) > (most := model.max_pixels):
        sizes = {"megapixels": pixels / 1e6, "max": most / 1e6}
        raise InvalidRequest("size", "size.pixels", value=asked, offered=offered, **sizes)
    return width, height
