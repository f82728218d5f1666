"""The ways to extend an image beyond its edges: what they are called, and the select of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import discord

from bot.chat.ui.custom_id import JobId
from bot.chat.ui.forms.fields import OPTIONS_MAX
from bot.chat.ui.picking import select_view
from bot.errors import InvalidRequest
from bot.request.extending import parse_extent
from bot.store import ImageRecord
from bot.texts.language import Say

_ZOOM: Final = "zoom "
WAYS: Final[Mapping[str, str]] = {
    f"{_ZOOM}1.5": "extending.zoom",
    f"{_ZOOM}2": "extending.zoom",
    "left": "extending.left",
    "right": "extending.right",
    "up": "extending.up",
    "down": "extending.down",
}
"""The ways that every image can be extended in, as they are typed, and what they are called."""
RATIOS: Final = ("16:9", "9:16", "1:1")
BOTH_SIDES: Final = "left, right"


class ExtendById(JobId):
    """Extends an image of a job's result; the value is `0 zoom 1.5`: number and way."""

    prefix = "extendby"


def way_label(say: Say, way: str) -> str:
    """What one of WAYS, of RATIOS, or BOTH_SIDES is called."""
    if way in RATIOS:
        return say("extending.ratio", ratio=way)
    if way == BOTH_SIDES:
        return say("extending.both_sides")
    return say(WAYS[way], factor=way.removeprefix(_ZOOM))


def extensions_view(say: Say, job_id: str, images: Sequence[ImageRecord]) -> discord.ui.View:
    """The ways to extend each of `images`; of a single one, also to other shapes."""
    several = len(images) > 1
    options = [
        discord.SelectOption(
            label=say("pick.extend_n", image=image.n + 1, way=way_label(say, way))
            if several
            else way_label(say, way),
            value=f"{image.n} {way}",
        )
        for image in images
        for way in (*WAYS, *(() if several else _shapes(image)))
    ]
    return select_view(ExtendById(job_id), options[:OPTIONS_MAX])


def _shapes(image: ImageRecord) -> Iterator[str]:
    """Those of RATIOS that it can be extended to."""
    for ratio in RATIOS:
        with suppress(InvalidRequest):
            parse_extent(ratio, image.width, image.height)
            yield ratio
