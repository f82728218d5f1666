"""Routes that generate and change images: txt2img, img2img, extra-single-image, interrogate and
others."""

import asyncio
import json
from dataclasses import replace
from html import escape
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from bot.api.automatic import describing, detailing
from bot.api.automatic.bodies import (
    Caption,
    Enlarged,
    Extras,
    Img2Img,
    Interrogate,
    Painted,
    PngInfo,
    Read,
    Txt2Img,
    WebUiInvalid,
    WebUiProblem,
)
from bot.api.automatic.chosen import Chosen
from bot.api.automatic.enlarging import enlarged_by, network_of
from bot.api.automatic.interrogating import described, style_of
from bot.api.automatic.jobs import ended
from bot.api.automatic.problems import AsciiJson, answering
from bot.api.automatic.resampling import enlarged, mask_of, stretched
from bot.api.automatic.translating import Translated, asked_model, size_of, translate
from bot.api.automatic.units import Units, understood
from bot.api.bodies import aside
from bot.api.large_answers import ImagesIn
from bot.api.original.bodies import picture
from bot.api.parts import Parts
from bot.errors import InvalidRequest
from bot.files.inputs import MASK, check_file
from bot.files.metadata import read_png
from bot.progress import Notice
from bot.request import CONTROL_IMAGES
from bot.store import ApiKey, Job, JobState

RESAMPLING_MAX: Final = 2
"""Images that are resampled at once: each takes up to 200 MB."""
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    code: {
        "model": WebUiInvalid | WebUiProblem
        if code == HTTPStatus.UNPROCESSABLE_ENTITY
        else WebUiProblem,
        "description": HTTPStatus(code).phrase,
    }
    for code in (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
}


def routes(parts: Parts) -> APIRouter:
    """The router of these calls."""
    router = APIRouter(route_class=answering(parts.speaker), tags=["automatic1111"])
    desk, callers, speaker = parts.desk, parts.callers, parts.speaker
    chosen = Chosen(desk.backend)
    resampling = asyncio.Semaphore(RESAMPLING_MAX)

    @router.post("/txt2img", response_model=Painted, responses=REFUSALS)
    async def txt2img(request: Request, body: Txt2Img) -> Response:
        """Generate images from text, and wait for them. A caller that hangs up cancels the job."""
        return await painted(request, body)

    @router.post("/img2img", response_model=Painted, responses=REFUSALS)
    async def img2img(request: Request, body: Img2Img) -> Response:
        """The same from an image, or of the part of it that a mask says."""
        return await painted(request, body)

    async def painted(request: Request, body: Txt2Img | Img2Img) -> Response:
        caller = await callers.of(request)
        model, about_model = await chosen.model(caller, asked_model(body))
        translated = translate(body, model)
        units = understood(body, desk.backend.catalog.current.controlnets)
        details = detailing.understood(body)
        draft = replace(
            translated.draft,
            control=units.control,
            other_types=units.other_types,
            detail=details.detail,
        )
        pictures = await given(translated) | await followed(units, size_of(body, model))
        job = await ended(request, desk, caller, draft, pictures)
        notices = (*about_model, *translated.warnings, *units.warnings, *details.warnings)
        notices += tuple(job.warnings)
        images = await desk.images(job) if job.state is JobState.DELIVERED else ()
        if not images:
            notices += (Notice("api.automatic.cancelled", {}),)
        say = speaker(request)
        warnings = [say(notice.code, **notice.params) for notice in notices]
        outcome = describing.Outcome(job, images, warnings)
        sent = ImagesIn()
        shown = await files(caller, job, len(images)) if body.send_images is not False else []
        content = {
            "images": [sent.name(data) for data in shown],
            "parameters": describing.parameters(body, job),
            "info": describing.info(body, outcome),
        }
        return await sent.json(lambda: json.dumps(content))

    async def files(caller: ApiKey, job: Job, count: int) -> list[bytes]:
        """The job's images."""
        paths = [(await desk.image(caller, job.id, n + 1))[2] for n in range(count)]
        return await asyncio.to_thread(lambda: [path.read_bytes() for path in paths])

    async def given(translated: Translated) -> dict[str, bytes | str]:
        if translated.picture is None:
            return {}
        data = await decoded("init_images", translated.picture)
        found: dict[str, bytes | str] = {"image": data}
        if translated.stretched is not None:
            async with resampling:
                found["image"] = await asyncio.to_thread(stretched, data, translated.stretched)
        if translated.mask is not None:
            data = await decoded(MASK, translated.mask)
            async with resampling:
                found[MASK] = await asyncio.to_thread(
                    mask_of,
                    data,
                    translated.stretched,
                    inverted=translated.inverted,
                    rounded=translated.rounded,
                )
        return found

    async def followed(units: Units, size: tuple[int, int] | None) -> dict[str, bytes | str]:
        """What ControlNets follow, by the names of a draft. size: to stretch to."""
        found: dict[str, bytes | str] = {}
        for field, image in zip(CONTROL_IMAGES, units.images, strict=False):
            data = await decoded(image.name, image.picture)
            if image.stretched and size is not None:
                async with resampling:
                    data = await asyncio.to_thread(stretched, data, size, image.name)
            found[field] = data
        return found

    @router.post("/extra-single-image", response_model=Enlarged, responses=REFUSALS)
    async def extra_single_image(request: Request, body: Extras) -> Response:
        """Enlarge an image with an upscaler of the catalog, which is a job like any other, or by
        resampling."""
        caller = await callers.of(request)
        callers.count(caller)
        entry = network_of(body, desk.backend.catalog.current, nsfw=caller.nsfw)
        data = await decoded("image", body.image)
        notices: tuple[Notice, ...] = ()
        if entry is not None:
            png, notices = await enlarged_by(entry, data, body, request, desk, caller, resampling)
        else:
            async with resampling:
                png = await asyncio.to_thread(enlarged, data, body)
        say = speaker(request)
        said = "".join(f"<p>{escape(say(each.code, **each.params))}</p>" for each in notices)
        sent = ImagesIn()
        content = {"html_info": said, "image": sent.name(png)}
        return await sent.json(lambda: json.dumps(content))

    @router.post("/interrogate", response_model=Caption, responses=REFUSALS)
    async def interrogate(request: Request, body: Interrogate) -> AsciiJson:
        """Say in words what is in an image, which is a job like any other."""
        caller = await callers.of(request)
        callers.count(caller)
        style = style_of(body, desk.backend.catalog.current)
        data = await decoded("image", body.image)
        return AsciiJson({"caption": await described(data, style, request, desk, caller)})

    @router.post("/png-info", response_model=Read, responses=REFUSALS)
    async def png_info(request: Request, body: PngInfo) -> AsciiJson:
        """What a PNG says about how it was generated."""
        callers.count(await callers.of(request))
        data = await decoded("image", body.image)
        try:
            read = await asyncio.to_thread(read_png, data)
        except ValueError:
            raise InvalidRequest("image", "api.automatic.png") from None
        return AsciiJson(describing.png_info(read))

    return router


async def decoded(field: str, text: str) -> bytes:
    """An image file that was sent in base64. Raises InvalidRequest, naming the field."""
    data = await aside(len(text), lambda: picture(field, text.strip()))
    if isinstance(data, str):
        raise InvalidRequest(field, "api.picture.encoding")
    check_file(field, size=len(data))
    return data
