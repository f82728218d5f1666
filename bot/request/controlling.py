"""ControlNets in a request: how they are typed, and what each of them follows.

`canny` follows the edges of an image, `canny:0.8` less closely, `canny:0.8 until 60%` only while
the first steps lay out the result; `union/depth` says which of its types one for several follows,
and `openpose as map` that the image is the map itself rather than a photo to make one from.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import InvalidRequest, Refused
from bot.request.draft import Draft
from bot.request.model import GenerationRequest
from bot.request.offers import find_controlnet
from bot.request.parts import DECIMALS, ControlUse
from bot.request.pictures import Picture, within
from catalog import CONTROL_TYPES, Catalog, ControlNetEntry, ControlNets, ModelEntry
from catalog.control_types import MADE_OF_PHOTOS, OTHER

CONTROLS_MAX: Final = 2
"""How many ControlNets may act on an image at once."""
CONTROL_WEIGHT: Final = (0.0, 1.0, 2.0)
"""Minimum, default, maximum."""

TEXT_MAX: Final = 400
"""Characters of all that is typed."""
_NUMBER: Final = rf"\d{{1,3}}(?:\.\d{{1,{DECIMALS}}})?"
_ASK: Final = re.compile(
    rf"(?P<name>[^:,\n]+?)(?:\s*:\s*(?P<weight>{_NUMBER}))?"
    rf"(?:\s+from\s+(?P<start>{_NUMBER})\s*%)?"
    rf"(?:\s+until\s+(?P<end>{_NUMBER})\s*%)?"
    r"(?P<map>\s+as\s+map)?",
    re.IGNORECASE,
)
_NEARLY: Final = re.compile(r"\s(?:(?:from|until|as)\b|[\d.]+\s*%?$)", re.IGNORECASE)
"""What follows a name where a colon or the sign for per cent was left out."""
_DECIMAL_COMMA: Final = re.compile(r"(?<=:)(\s*\d+),(\d+)|(\d+),(\d+)(?=\s*%)")


@dataclass(frozen=True, slots=True)
class ControlAsk:
    """A ControlNet as typed. name: may end in `/` and a type. start, end: shares of the steps."""

    name: str
    weight: float
    start: float
    end: float
    is_map: bool


def parse_controls(text: str) -> tuple[ControlAsk, ...]:
    """What is typed, in order. Raises InvalidRequest."""
    if len(text) > TEXT_MAX:
        raise InvalidRequest("control", "control.form", value=f"{text[:TEXT_MAX]}…")
    # In one of the two groups of either kind there is nothing.
    parts = re.split(r"[,\n]", _DECIMAL_COMMA.sub(r"\1\3.\2\4", text))
    asks = tuple(_ask(typed) for part in parts if (typed := " ".join(part.split())))
    if len(asks) > CONTROLS_MAX:
        raise InvalidRequest("control", "control.many", value=len(asks), max=CONTROLS_MAX)
    return asks


def _ask(text: str) -> ControlAsk:
    match = _ASK.fullmatch(text)
    if match is None:
        raise InvalidRequest("control", "control.form", value=text)
    low, usual, high = CONTROL_WEIGHT
    weight = float(match["weight"]) if match["weight"] else None
    weight = within("control", weight, usual, low, high)
    start, end = (float(match["start"] or 0) / 100, float(match["end"] or 100) / 100)
    if not 0 <= start < end <= 1:
        raise InvalidRequest("control", "control.steps", value=text)
    return ControlAsk(match["name"].strip(), weight, start, end, match["map"] is not None)


def controls(
    draft: Draft, catalog: Catalog, model: ModelEntry, *, nsfw: bool
) -> tuple[ControlUse, ...]:
    """The ControlNets of a draft, and the images that they follow.

    The first follows the first image, the second the second, if there is one. Without such an image
    it is the one to start from; without a ControlNet, the usual one follows the image.
    Raises InvalidRequest or Refused.
    """
    asks = parse_controls(draft.control or "")
    # An image that is extended lies elsewhere in the result than a map of it would.
    followed = draft.image if asks and not draft.extend else None
    images = draft.control_images or ((followed,) if followed else ())
    if not asks and not images:
        return ()
    if not images:
        raise InvalidRequest(
            "control", "picture.without", value=draft.control or "", needed="control_image"
        )
    if not asks and len(images) > 1:
        raise InvalidRequest("control", "control.unnamed", value=len(images))
    if not asks:
        usual = find_controlnet(catalog, None, model=model, nsfw=nsfw).key
        _, weight, _ = CONTROL_WEIGHT
        asks = (ControlAsk(usual, weight, 0.0, 1.0, is_map=False),)
    if len(images) > len(asks):
        raise InvalidRequest("control_image", "control.images", value=len(images), max=len(asks))
    chosen = [_used(ask, draft.other_types, catalog, model, nsfw=nsfw) for ask in asks]
    uses = tuple(
        ControlUse(
            entry.key,
            _nth(images, n).sha256,
            kind,
            ask.weight,
            ask.start,
            ask.end,
            ask.is_map,
            of_photo=kind in MADE_OF_PHOTOS and not ask.is_map,
        )
        for n, (ask, (entry, kind)) in enumerate(zip(asks, chosen, strict=True))
    )
    if catalog.controlnets.depth is None and any(use.needs_depth for use in uses):
        raise Refused("control.no_depth")
    if catalog.controlnets.pose is None and any(use.needs_pose for use in uses):
        raise Refused("control.no_pose")
    return uses


def types_followed(request: GenerationRequest) -> tuple[str, ...]:
    """What its ControlNets follow, for `Draft.other_types`: asking again is asking for the same."""
    return tuple(f"{use.key}/{use.type}" for use in request.controls)


def untypable(request: GenerationRequest, controlnets: ControlNets) -> tuple[str, ...]:
    """Those of its ControlNets, by key, that follow what nobody may ask them to by typing it: only
    asking again may, see `Draft.other_types`."""
    return tuple(
        use.key
        for use in request.controls
        if use.key in controlnets.entries
        and not _may_follow(controlnets.types_of(use.key), use.type)
    )


def still_followed(
    text: str,
    before: Sequence[ControlUse],
    images: Sequence[Picture],
    controlnets: ControlNets,
) -> tuple[Picture, ...]:
    """What the ControlNets typed in `text` follow, after those of an earlier request.

    One that was there already follows the image that it followed, and another the one at its place,
    or the last. images: one for each of `before`, or one for all. controlnets: as they may be
    called. Raises InvalidRequest.
    """
    asks = parse_controls(text)
    if not images or not asks:
        return ()
    left = list(zip(before, images, strict=True)) if len(images) > 1 else []
    followed = []
    for n, ask in enumerate(asks):
        known = [each for each in left if _names(ask.name, each[0], controlnets)]
        if known:
            left.remove(known[0])
        followed.append(known[0][1] if known else _nth(images, n))
    return tuple(followed)


def _names(name: str, use: ControlUse, controlnets: ControlNets) -> bool:
    """Whether what was used is called so, with its type or without."""
    called, kind = _split(name)
    if kind not in (None, use.type):
        return False
    entry = controlnets.find(called)
    return called.casefold() == use.key.casefold() if entry is None else entry.key == use.key


def _split(name: str) -> tuple[str, str | None]:
    """A ControlNet's name, and the type behind it; None if none is said."""
    called, slash, kind = (part.strip() for part in name.rpartition("/"))
    if slash and kind.lower() in CONTROL_TYPES:
        return called, kind.lower()
    return name, None


def _may_follow(types: tuple[str, ...], kind: str) -> bool:
    """Whether one that follows `types` may be asked to follow `kind`."""
    return kind in types or types == (OTHER,)


def _nth(images: Sequence[Picture], n: int) -> Picture:
    return images[min(n, len(images) - 1)]


def _found(name: str, catalog: Catalog, model: ModelEntry, *, nsfw: bool) -> ControlNetEntry:
    """The ControlNet of that name. Raises InvalidRequest, also for what only looks like a name."""
    try:
        return find_controlnet(catalog, name, model=model, nsfw=nsfw)
    except InvalidRequest:
        if _NEARLY.search(name):
            raise InvalidRequest("control", "control.form", value=name) from None
        raise


def _used(
    ask: ControlAsk,
    other_types: Collection[str],
    catalog: Catalog,
    model: ModelEntry,
    *,
    nsfw: bool,
) -> tuple[ControlNetEntry, str]:
    """The ControlNet that is meant, and the type that it follows."""
    name, kind = _split(ask.name)
    entry = _found(name, catalog, model, nsfw=nsfw)
    if kind is None:
        return entry, catalog.controlnets.type_of(entry.key)
    types = catalog.controlnets.types_of(entry.key)
    # One for several types is told which; another may be given any map, which is seldom meant.
    free = len(types) == 1 and f"{entry.key}/{kind}" in other_types
    if not free and not _may_follow(types, kind):
        named = {"control": entry.key, "value": kind}
        raise InvalidRequest("control", "control.type", **named, allowed=types)
    return entry, kind
