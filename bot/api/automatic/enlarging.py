"""Enlarging an image with a network of the catalog, as AUTOMATIC1111 does.

What comes out is resampled to the size that was asked for, which is one that the networks here do
not make. As everything that needs the engine, it is a job of the caller's.
"""

import asyncio
from typing import Any, Final

from fastapi import Request

from bot.api.automatic.bodies import Extras
from bot.api.automatic.jobs import ended
from bot.api.automatic.resampling import (
    NONE,
    UPSCALERS,
    check_faces,
    fitted,
    listed_upscalers,
    target_of,
)
from bot.api.desk import Desk
from bot.api.errors import NotReady
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import UPSCALE_SCALES, UPSCALED_PIXELS_MAX, UpscaleDraft, scales_for
from bot.store import ApiKey
from catalog import Catalog, UpscalerEntry

NAMES_SHOWN: Final = 20
LEAST: Final = 1.0
"""A network makes no image smaller."""


def all_upscalers(catalog: Catalog, *, nsfw: bool) -> list[dict[str, Any]]:
    """For `GET /upscalers`: those that resample, then the catalog's."""
    listed = listed_upscalers()
    for entry in catalog.upscalers.offered(nsfw=nsfw):
        facts = catalog.upscalers.facts.get(entry.key)
        described = {"name": entry.name, "model_name": entry.key}
        listed.append({**listed[0], **described, "scale": facts.factor if facts else None})
    return listed


def network_of(asked: Extras, catalog: Catalog, *, nsfw: bool) -> UpscalerEntry | None:
    """The network that is to enlarge the image; None if it is only to be resampled.

    Raises InvalidRequest for what there is not, and where one network's result is to be blended
    with another upscaler's.
    """
    first = _named("upscaler_1", asked.upscaler_1, catalog, nsfw=nsfw)
    if (asked.upscaler_1 or NONE) == NONE:
        return None
    second = _named("upscaler_2", asked.upscaler_2, catalog, nsfw=nsfw)
    blended = (asked.upscaler_2 or NONE) != NONE and asked.extras_upscaler_2_visibility > 0
    if blended and (first or second):
        raise InvalidRequest("upscaler_2", "api.automatic.blended", value=str(asked.upscaler_2))
    return first


def _named(field: str, name: str | None, catalog: Catalog, *, nsfw: bool) -> UpscalerEntry | None:
    if (name or NONE) in UPSCALERS:
        return None
    found = catalog.upscalers
    entry = found.find(name or "")
    if entry is None or (entry.nsfw and not nsfw):
        offered = [each.name for each in found.offered(nsfw=nsfw)][:NAMES_SHOWN]
        raise InvalidRequest(
            field,
            "api.automatic.upscaler",
            value=(name or "")[:100],
            allowed=(*UPSCALERS, *offered),
        )
    return entry


async def enlarged_by(
    entry: UpscalerEntry,
    data: bytes,
    asked: Extras,
    request: Request,
    desk: Desk,
    caller: ApiKey,
    resampling: asyncio.Semaphore,
) -> tuple[bytes, tuple[Notice, ...]]:
    """The image file `data`, enlarged, as a PNG, and what there is to say about it.

    caller: whose call has been counted. resampling: bounds how many images are resampled at once.

    Raises InvalidRequest, NotReady if the job was cancelled, and as `ended`.
    """
    check_faces(asked)
    async with resampling:
        size, (wanted, box) = await asyncio.to_thread(target_of, data, asked)
    draft = UpscaleDraft(scale=_scale(size, wanted, asked), upscaler=entry.key)
    job = await ended(request, desk, caller, draft, {"image": data}, counted=True)
    if not await desk.images(job):
        raise NotReady("api.job.cancelled")
    _, _, path = await desk.image(caller, job.id)
    async with resampling:
        made = await asyncio.to_thread(lambda: fitted(path.read_bytes(), wanted, box))
    return made, job.warnings


def _scale(size: tuple[int, int], wanted: tuple[int, int], asked: Extras) -> float:
    """The smallest factor here that makes it as large as that, or larger; where that would be too
    large, the largest that is not, as the rest is resampled."""
    if asked.resize_mode == 0:
        field, scale = "upscaling_resize", asked.upscaling_resize
    else:
        field = "upscaling_resize_w, upscaling_resize_h"
        scale = max(to / side for to, side in zip(wanted, size, strict=True))
    most = max(UPSCALE_SCALES)
    if not LEAST <= scale <= most:
        raise InvalidRequest(field, "number.range", value=f"{scale:g}", min=LEAST, max=most)
    known = sorted(UPSCALE_SCALES)
    wanted_scale = next(each for each in known if each >= scale)
    possible = scales_for(*size)
    if not possible:
        width, height = size
        raise InvalidRequest(
            "image",
            "api.automatic.enlarged",
            width=width,
            height=height,
            scale=f"{known[0]:g}",
            megapixels=UPSCALED_PIXELS_MAX // 10**6,
        )
    return max(each for each in possible if each <= wanted_scale)
