"""Routes of the original interface."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from bot.api.bodies import StrictRoute, aside
from bot.api.describing import STATUS, eta, metadata, status
from bot.api.desk import Given
from bot.api.errors import WrongMediaType
from bot.api.original.bodies import Generate, Problem, Queued, Status, Uploaded
from bot.api.original.catalog import adapters, controlnets, embeddings, models, upscalers
from bot.api.original.examples import (
    CONTROLNET,
    EMBEDDING,
    EVENTS,
    HEALTH,
    LANE,
    LORA,
    MODEL,
    UPSCALER,
    answering,
)
from bot.api.original.further_bodies import Compare, Describe, Upscale
from bot.api.original.lanes import lanes
from bot.api.parts import Parts
from bot.api.waiting import STILL_THERE, EventStream, news_of
from bot.files.inputs import CONTENT_TYPES, MASK
from bot.progress import Progress
from bot.recipe import Recipe
from bot.request import AnyDraft
from bot.store import ImageRecord, Job, JobState
from bot.texts.lines import status_line

WAIT_MAX: Final = 60
"""Seconds that one call may wait for a job; proxies cut off longer ones."""

_BINARY: Final = {"type": "string", "format": "binary"}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Problem, "description": HTTPStatus(code).phrase}
    for code in (400, 401, 403, 413, 415, 422, 429, 503)
}

RepeatKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="A call repeated with it is the same job."),
]


def routes(parts: Parts) -> APIRouter:
    """The interface's router."""
    router = APIRouter(route_class=StrictRoute, tags=["original"])
    desk, callers, speaker = parts.desk, parts.callers, parts.speaker

    @router.post("/generate", status_code=202, response_model=Queued, responses=REFUSALS)
    async def generate(
        request: Request, body: Generate, idempotency_key: RepeatKey = None
    ) -> dict[str, Any]:
        """Ask for images."""
        return await asked_for(request, body.draft(), body.pictures, idempotency_key)

    @router.post("/compare", status_code=202, response_model=Queued, responses=REFUSALS)
    async def compare(
        request: Request, body: Compare, idempotency_key: RepeatKey = None
    ) -> dict[str, Any]:
        """Ask for a labelled sheet of images that differ in one or two things.

        The job's first image is the sheet; the others are its cells, whose `cell` says what varies.
        """
        return await asked_for(request, body.comparison(), body.pictures, idempotency_key)

    @router.post("/upscale", status_code=202, response_model=Queued, responses=REFUSALS)
    async def upscale(
        request: Request, body: Upscale, idempotency_key: RepeatKey = None
    ) -> dict[str, Any]:
        """Ask for an image to be made larger. Nothing is drawn without `repaint`: `seed` is 0."""
        return await asked_for(request, body.draft(), body.pictures, idempotency_key)

    @router.post("/describe", status_code=202, response_model=Queued, responses=REFUSALS)
    async def describe(
        request: Request, body: Describe, idempotency_key: RepeatKey = None
    ) -> dict[str, Any]:
        """Ask for words that describe an image. `/status` has them as `words`; there are no
        images, and nothing is drawn: `seed` is 0."""
        return await asked_for(request, body.draft(), body.pictures, idempotency_key)

    async def asked_for(
        request: Request,
        draft: AnyDraft,
        given: Callable[[], dict[str, Given]],
        repeat_key: str | None,
    ) -> dict[str, Any]:
        caller = await callers.of(request)
        pictures = await aside(len(await request.body()), given)
        accepted = await desk.accept(caller, draft, pictures, repeat_key)
        job, place = accepted.job, accepted.place
        return {
            "job_id": job.id,
            "status": STATUS[job.state],
            "position": place.position if place and place.position else None,
            "seed": job.request.base_seed,
            "variation": job.request.mixed_in or None,
            "eta": eta(place),
        }

    @router.get("/status/{job_id}", response_model=Status, responses=_refusals(401, 404))
    async def job_status(
        request: Request,
        job_id: str,
        wait: Annotated[
            float, Query(ge=0, le=WAIT_MAX, description="Seconds to wait for the job's end.")
        ] = 0,
    ) -> dict[str, Any]:
        """Where a job is."""
        caller = await callers.of(request)
        job = await (desk.wait(caller, job_id, wait) if wait else desk.job(caller, job_id))
        if wait:
            await callers.still(caller)
        return status(job, await desk.progress(job), await desk.images(job), speaker(request))

    @router.get(
        "/events/{job_id}",
        response_class=StreamingResponse,
        responses={
            200: answering(EVENTS, "Until the job has ended.", "text/event-stream"),
            **_refusals(401, 404),
        },
    )
    async def events(request: Request, job_id: str) -> StreamingResponse:
        """What `/status` says, as Server-Sent Events, with previews as data URLs.

        Events are called `progress`, and the last one is called as the status that it brings.
        """
        caller, say = await callers.of(request), speaker(request)
        # A stream that has begun can no longer say 404 or 429.
        await desk.job(caller, job_id)
        desk.check_following(caller)

        def told(job: Job, news: Progress, shown: bytes | None) -> str:
            body = status(job, news, (), say)
            body["message"] = status_line(say, news)
            if news.preview is not None and news.preview is not shown:
                body["preview"] = _data_url(news.preview)
            return _event("progress", body)

        async def stream() -> AsyncIterator[str]:
            async with desk.following(caller, job_id) as (job, feed):
                latest, shown = await desk.progress(job), None
                if latest is not None:
                    yield told(job, latest, None)
                    shown = latest.preview
                async for news in news_of(feed):
                    if news is None:
                        yield STILL_THERE
                        continue
                    await callers.still(caller)
                    job = await desk.job(caller, job_id)
                    yield told(job, news, shown)
                    shown = news.preview or shown
            job = await desk.job(caller, job_id)
            yield _event(
                STATUS[job.state],
                status(job, await desk.progress(job), await desk.images(job), say),
            )

        return EventStream(stream())

    image_answers: dict[int | str, dict[str, Any]] = {
        200: {"content": {"image/png": {}}, "description": "The PNG, with its metadata inside."},
        206: {"content": {"image/png": {}}, "description": "A part of it."},
        304: {"description": "The caller has it already."},
        416: {"description": "There is no such part."},
        **_refusals(401, 404, 409, 410),
    }

    async def image(request: Request, job_id: str, n: int | None = None) -> Response:
        """One image of a job, counted from 1; without a number the first, or the sheet of a
        comparison."""
        caller = await callers.of(request)
        job, record, path = await desk.image(caller, job_id, n)
        recipe = await desk.recipe(job, record) if job.state is JobState.DELIVERED else None
        return _file(request, recipe, record, path)

    for address, name in (("/image/{job_id}", "first_image"), ("/image/{job_id}/{n}", "image")):
        for method in ("GET", "HEAD"):
            router.add_api_route(
                address,
                image,
                methods=[method],
                response_class=FileResponse,
                responses=image_answers,
                operation_id=f"{method.lower()}_{name}",
            )

    @router.delete("/jobs/{job_id}", response_model=Status, responses=_refusals(401, 404))
    async def cancel(request: Request, job_id: str) -> dict[str, Any]:
        """Cancel a job. One that runs ends at its next step; one that has ended stays as it is."""
        caller = await callers.of(request)
        job = await desk.cancel(caller, job_id)
        return status(job, await desk.progress(job), await desk.images(job), speaker(request))

    @router.post(
        "/images",
        status_code=201,
        response_model=Uploaded,
        responses=_refusals(400, 401, 413, 415, 429, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    kind: {"schema": {"type": "string", "format": "binary"}}
                    for kind in CONTENT_TYPES
                },
            }
        },
    )
    async def upload(
        request: Request,
        mask: Annotated[
            bool,
            Query(
                description="Keep it as a mask, grey: what is transparent is white, or, if nothing "
                "is, what is bright."
            ),
        ] = False,
    ) -> dict[str, Any]:
        """Upload an image for `image`, `mask`, `reference`, `control_image` or `edit`: the file is
        the body."""
        caller = await callers.of(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in CONTENT_TYPES:
            raise WrongMediaType("api.media", value=kind[:80], allowed=CONTENT_TYPES)
        picture = await desk.upload(caller, await request.body(), MASK if mask else "image")
        return {"sha256": picture.sha256, "width": picture.width, "height": picture.height}

    @router.get("/models", responses={200: answering([MODEL], "All."), **_refusals(401)})
    async def list_models(request: Request) -> list[dict[str, Any]]:
        """The models that can be used, and those that cannot, with the reason.

        `takes` says which options a model has, `edits` how many images it edits at once, `bases`
        the base models whose LoRAs fit it, as the `base` of a LoRA names them.
        """
        return await models(desk.backend, await callers.of(request))

    @router.get("/loras", responses={200: answering([LORA], "All."), **_refusals(401)})
    async def list_loras(request: Request) -> list[dict[str, Any]]:
        """The LoRAs, likewise; `models` are the keys of those that each can be used with."""
        return await adapters(desk.backend, await callers.of(request))

    @router.get("/embeddings", responses={200: answering([EMBEDDING], "All."), **_refusals(401)})
    async def list_embeddings(request: Request) -> list[dict[str, Any]]:
        """The embeddings (textual inversions), likewise. Prompts name them by their keys."""
        return await embeddings(desk.backend, await callers.of(request))

    @router.get("/upscalers", responses={200: answering([UPSCALER], "All."), **_refusals(401)})
    async def list_upscalers(request: Request) -> list[dict[str, Any]]:
        """The upscalers for `POST /upscale`, likewise. `factor` is how much each enlarges in one
        pass."""
        return await upscalers(desk.backend, await callers.of(request))

    @router.get("/controlnets", responses={200: answering([CONTROLNET], "All."), **_refusals(401)})
    async def list_controlnets(request: Request) -> list[dict[str, Any]]:
        """The ControlNets and T2I-Adapters, likewise; `type` is what each follows unless asked to
        follow something else, which only one with the `kind` `union` is made for."""
        return await controlnets(desk.backend, await callers.of(request))

    @router.get("/lanes", responses={200: answering([LANE], "All."), **_refusals(401)})
    async def list_lanes(request: Request) -> list[dict[str, Any]]:
        """The GPUs that generate: whether each is ready, loading (it takes nothing yet), lost (its
        engine is being started again) or draining (it takes nothing new), and whether it is busy.
        """
        backend, caller = desk.backend, await callers.of(request)
        return lanes(backend.queue.lanes, backend.catalog.current, caller)

    @router.get(
        "/healthz",
        responses={
            200: answering(HEALTH, "Every part works."),
            503: answering(
                HEALTH | {"painting": "not taking jobs"}, "One does not; its word says why."
            ),
        },
    )
    async def health() -> JSONResponse:
        """Whether every part works; needs no key."""
        report = await parts.health.report()
        fine = all(word == "ok" for word in report.values())
        return JSONResponse(report, 200 if fine else 503)

    return router


def _refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    everywhere = (400, 401, 403, 429)
    return {
        code: {"model": Problem, "description": HTTPStatus(code).phrase}
        for code in sorted({*codes, *everywhere})
    }


def _event(name: str, body: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _file(request: Request, recipe: Recipe | None, record: ImageRecord, path: Path) -> Response:
    etag = f'"{record.sha256}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'inline; filename="{path.name}"',
    }
    if recipe is not None:
        headers["X-Generation-Metadata"] = json.dumps(metadata(recipe, record.seed))
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type="image/png", headers=headers)


def _has(if_none_match: str, etag: str) -> bool:
    """Compares weakly (RFC 9110, 13.1.2): proxies that compress mark tags as weak."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
