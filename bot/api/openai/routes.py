"""Routes of OpenAI's interface. A call waits until its images are there."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Header, Path, Query, Request, Response

from bot.api.bodies import StrictRoute
from bot.api.errors import NotFound
from bot.api.openai.answering import file_as
from bot.api.openai.asking import stands_for_default
from bot.api.openai.bodies import Edit, Format, Generation, Images, Model, Models, OpenAIProblem
from bot.api.openai.edit_bodies import FORM, JSON, edit_of
from bot.api.openai.links import HOLDER, PATH, Links
from bot.api.openai.serving import Serving
from bot.api.parts import Parts
from bot.request import default_model, find_model
from catalog import ModelEntry

KeyOfRepeats = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="A call repeated with it gets the same images. Without it, a job is cancelled "
        "when its caller hangs up.",
    ),
]
FILE: Final = re.compile(r"([1-9]\d?)\.(png|jpeg|webp)")
EVENTS: Final[dict[str, Any]] = {"content": {"text/event-stream": {}}}


def routes(parts: Parts) -> APIRouter:
    """The interface's router."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["OpenAI"])
    desk, callers = parts.desk, parts.callers
    links = Links(desk.backend.store)
    serving = Serving(parts, links)

    @router.post(
        "/images/generations",
        response_model=Images,
        response_model_exclude_none=True,
        responses={200: EVENTS, **_refusals(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)},
    )
    async def generations(
        request: Request, body: Generation, idempotency_key: KeyOfRepeats = None
    ) -> Any:
        """Generate images, and return them."""
        return await serving.serve(request, body, idempotency_key)

    @router.post(
        "/images/edits",
        response_model=Images,
        response_model_exclude_none=True,
        responses={200: EVENTS, **_refusals(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)},
        openapi_extra=_either_body(),
    )
    async def edits(request: Request, idempotency_key: KeyOfRepeats = None) -> Any:
        """Generate images from an image, or change or extend a part of it."""
        await callers.of(request)  # before a large body is read
        return await serving.serve(request, await edit_of(request), idempotency_key)

    @router.get("/models", responses=_refusals(401))
    async def list_models(request: Request) -> Models:
        """The models that can be used, the default one first."""
        caller = await callers.of(request)
        offered = desk.backend.catalog.current.offered_models(nsfw=caller.nsfw)
        return Models(data=[_model(entry) for entry in offered])

    @router.get("/models/{name:path}", responses=_refusals(401, 404))
    async def one_model(request: Request, name: str) -> Model:
        """One of them; for OpenAI's own names the default one."""
        caller, catalog = await callers.of(request), desk.backend.catalog.current
        if not stands_for_default(name, catalog):
            return _model(find_model(catalog, name, nsfw=caller.nsfw))
        default = default_model(catalog, nsfw=caller.nsfw)
        found = _model(find_model(catalog, default, nsfw=caller.nsfw))
        return found.model_copy(update={"id": name})

    async def file(
        job_id: str,
        name: Annotated[str, Path(examples=["1.png"])],
        compression: Annotated[int, Query(ge=0, le=100)],
        expires: int,
        signature: str,
    ) -> Response:
        """An image by its link, which needs no key and is valid for an hour."""
        await links.check(job_id, name, compression, expires, signature)
        if (match := FILE.fullmatch(name)) is None:
            raise NotFound("api.http.missing")
        _, _, path = await desk.image(HOLDER, job_id, int(match[1]))
        data = await file_as(path, cast("Format", match[2]), compression)
        headers = {
            "Cache-Control": "private, max-age=3600",
            "Content-Disposition": f'inline; filename="{path.stem}.{match[2]}"',
        }
        return Response(data, media_type=f"image/{match[2]}", headers=headers)

    for method in ("GET", "HEAD"):
        router.add_api_route(
            f"{PATH.removeprefix('/v1')}/{{job_id}}/{{name}}",
            file,
            methods=[method],
            response_class=Response,
            responses={
                200: {"content": {f"image/{kind}": {} for kind in ("png", "jpeg", "webp")}},
                **_refusals(400, 403, 404, 410),
            },
            operation_id=f"{method.lower()}_image_file",
        )

    return router


def _refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {
        code: {"model": OpenAIProblem, "description": HTTPStatus(code).phrase} for code in codes
    }


def _either_body() -> dict[str, Any]:
    schema = Edit.model_json_schema()
    parts = schema.pop("$defs")
    content = {kind: {"schema": _inlined(schema, parts)} for kind in (FORM, JSON)}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, parts: Mapping[str, Any]) -> Any:
    """A JSON Schema that stands for itself: its references would lead out of the document."""
    match schema:
        case {"$ref": str(name)}:
            return _inlined(parts[name.rpartition("/")[2]], parts)
        case dict():
            return {key: _inlined(value, parts) for key, value in schema.items()}
        case list():
            return [_inlined(value, parts) for value in schema]
        case _:
            return schema


def _model(entry: ModelEntry) -> Model:
    return Model(id=entry.key, name=entry.name)
