"""Painting only what is masked: `masked` cuts that out of the image, paints it at the full size of
the request, and puts it back; `whole` paints all of the image, and keeps what is not masked.

So a face that is small in the image gets as many pixels as the model can give one.
"""

from typing import Final

from bot.errors import InvalidRequest
from bot.request.draft import Draft
from bot.request.parts import Area
from bot.request.pictures import within

WHOLE: Final = "whole"
MASKED: Final = "masked"
AREAS: Final = (WHOLE, MASKED)
PADDING: Final = (0, 32, 256)
"""Minimum, default and maximum, in pixels of the image: as in AUTOMATIC1111's web UI."""
_ALIASES: Final = {"whole picture": WHOLE, "only masked": MASKED}
"""What its web UI calls them."""


def paints_masked(draft: Draft) -> bool:
    """Whether only what is masked is to be painted. Raises InvalidRequest."""
    asked = " ".join((draft.inpaint_area or "").casefold().split())
    area = _ALIASES.get(asked, asked)
    if area and area not in AREAS:
        raise InvalidRequest(
            "inpaint_area", "area.form", value=draft.inpaint_area or "", allowed=AREAS
        )
    return area == MASKED


def area(draft: Draft) -> Area | None:
    """What of the image to start from is painted; None for all of it. Raises InvalidRequest."""
    low, usual, high = PADDING
    padding = within("inpaint_padding", draft.inpaint_padding, usual, low, high)
    if not paints_masked(draft):
        if draft.inpaint_padding is not None:
            raise InvalidRequest("inpaint_padding", "area.padding", value=padding)
        return None
    if draft.image is None or draft.mask is None:
        raise InvalidRequest("inpaint_area", "area.mask", value=MASKED)
    if (draft.extend or "").strip():
        raise InvalidRequest("inpaint_area", "area.extend", value=MASKED)
    return Area(padding, draft.image.width, draft.image.height)
