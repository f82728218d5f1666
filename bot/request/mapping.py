"""Requests for a map alone: what a ControlNet would follow in an image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from bot.errors import InvalidRequest, Refused
from bot.request.model import GenerationRequest
from bot.request.parts import ControlUse
from bot.request.pictures import AWAITED, Picture
from catalog import Catalog
from catalog.control_types import CANNY, DEPTH, MADE_OF_PHOTOS, TILE

MAP_SIDE: Final = (64, 512, 2048)
"""Pixels of a map's shorter side: minimum, default, maximum; sd-webui-controlnet's own."""
LONGEST: Final = 4
"""How many times as long the other side may be."""
MADE: Final = (CANNY, DEPTH, *MADE_OF_PHOTOS, "lineart", TILE)
"""The types whose maps are made here, rather than brought along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDraft:
    """A request for the map of an image, as typed; None for what was not given.

    image: unless it is given, it is still to come. type: one of MADE. side: pixels of the shorter
    side of the map, which has the shape of the image.
    """

    image: Picture = AWAITED
    type: str
    side: int | None = None

    @property
    def names(self) -> tuple[str | None, ...]:
        """As of a Draft: it names nothing of the catalog."""
        return ()

    def with_pictures(self, given: Mapping[str, Picture]) -> Self:
        """The same with its image, which is called "image". Raises LookupError without one."""
        return replace(self, image=given["image"])


def compose_map(draft: MapDraft, catalog: Catalog) -> GenerationRequest:
    """The request for what was typed.

    Raises InvalidRequest or Refused, and ValueError for a type that is not made here.
    """
    if (kind := draft.type) not in MADE:
        raise ValueError(f"no map of the type {kind!r} is made here")
    use = ControlUse("", draft.image.sha256, kind, of_photo=kind in MADE_OF_PHOTOS)
    if use.needs_depth and catalog.controlnets.depth is None:
        raise Refused("control.no_depth")
    if use.needs_pose and catalog.controlnets.pose is None:
        raise Refused("control.no_pose")
    width, height = _size(draft)
    return GenerationRequest(
        prompt="",
        negative="",
        model="",
        steps=0,
        guidance=0.0,
        seed=0,
        width=width,
        height=height,
        scheduler="",
        controls=(use,),
    )


def _size(draft: MapDraft) -> tuple[int, int]:
    least, usual, most = MAP_SIDE
    side = usual if draft.side is None else draft.side
    if not least <= side <= most:
        raise InvalidRequest("side", "number.range", value=side, min=least, max=most)
    width, height = max(draft.image.width, 1), max(draft.image.height, 1)
    longer = min(round(side * max(width, height) / min(width, height)), side * LONGEST)
    return (longer, side) if width > height else (side, longer)
