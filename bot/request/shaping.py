"""How large the result of a request is, and where in it an image lies that is extended."""

from dataclasses import dataclass

from bot.errors import InvalidRequest
from bot.request import pictures
from bot.request.draft import Draft
from bot.request.extending import Extent, parse_extent, placed
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
    size = _asked(draft.size, model) or _usual(draft, extent, model, scale)
    if extent is None or draft.image is None:
        return Shape(*size)
    return Shape(*size, placed(extent, (draft.image.width, draft.image.height), size))


def _extent(draft: Draft) -> Extent | None:
    if not draft.extend:
        return None
    if draft.image is None:
        raise InvalidRequest("extend", "picture.without", value=draft.extend, needed="image")
    if not draft.image.measured:
        return None  # it is still to come
    return parse_extent(draft.extend, draft.image.width, draft.image.height)


def _usual(draft: Draft, extent: Extent | None, model: ModelEntry, scale: float) -> tuple[int, int]:
    like = draft.shaping
    if like is None:
        usual = model.size
    elif extent is None:
        usual = pictures.size_like(like, model)
    else:
        usual = pictures.size_extended(extent, like, model)
    return pictures.size_scaled(usual, scale, model)


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
