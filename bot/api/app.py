"""The application: all interfaces, and how errors are answered."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from bot import __version__
from bot.api import automatic, docs, openai, original, records
from bot.api.document import documented
from bot.api.ending import Ending
from bot.api.errors import Answer, WrongMediaType, answer_to, wrong_field
from bot.api.gate import LARGE_MAX, Gate
from bot.api.guard import Guard, plain_origin
from bot.api.parts import Parts
from bot.api.refusals import Refusals
from bot.errors import ImagenError
from bot.settings import Settings
from bot.texts.language import Texts

log = logging.getLogger(__name__)

INTERFACES: Final = (original, openai, automatic)
SENTENCES: Final = {
    404: "api.http.missing",
    405: "api.http.method",
    413: "api.http.large",
    415: "api.http.kind",
}
"""For what the framework refuses."""


def application(parts: Parts, texts: Texts, settings: Settings) -> ASGIApp:
    """What the server runs."""
    app = FastAPI(
        title="Imagen",
        version=__version__,
        summary="Images from prompts, generated on your own GPU.",
        docs_url=None,
        redoc_url=None,
        max_body_size=LARGE_MAX,
    )
    app.state.gate = Gate(parts.callers)
    for interface in INTERFACES:
        app.include_router(interface.routes(parts))
    app.include_router(records.routes(parts))
    app.include_router(docs.routes())
    if parts.inventory is not None:
        # Imported here because most bots have no workers elsewhere.
        from bot.api import sending

        app.include_router(sending.routes(parts, parts.inventory))
    app.openapi = documented(app)  # type: ignore[method-assign]
    refusals = Refusals(interface.FORM for interface in INTERFACES)
    _answer_errors(app, parts, refusals)
    if settings.api_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(map(plain_origin, settings.api_origins)),
            allow_private_network=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Generation-Metadata", "Retry-After", "Content-Disposition"],
        )
    hosts = (*settings.api_hosts, settings.api_host)
    guarded = Guard(
        app,
        texts=texts,
        refusals=refusals,
        body_max=LARGE_MAX,
        hosts=hosts,
        origins=settings.api_origins,
    )
    return Ending(guarded, texts=texts, refusals=refusals)


def _answer_errors(app: FastAPI, parts: Parts, refusals: Refusals) -> None:
    def on(error: type[Exception]) -> Callable[[Any], Any]:
        return app.exception_handler(error)

    def refused(request: Request, error: ImagenError) -> JSONResponse:
        answer = answer_to(error, parts.speaker(request), refusals.names(request))
        return refusals.response(request, answer)

    @on(ImagenError)
    async def own(request: Request, error: ImagenError) -> JSONResponse:
        return refused(request, error)

    @on(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        if isinstance(error.body, bytes):  # as it was not declared to be JSON
            return refused(request, WrongMediaType("api.http.kind"))
        answer = wrong_field(error.errors()[0], parts.speaker(request))
        return refusals.response(request, answer)

    @on(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, ImagenError):  # raised while FastAPI read the body
            return refused(request, error.__cause__)
        code = SENTENCES.get(error.status_code)
        detail = parts.speaker(request)(code) if code else str(error.detail)
        code = code or f"http.{error.status_code}"
        answer = Answer(HTTPStatus(error.status_code), code, detail, {})
        response = refusals.response(request, answer)
        response.headers.update(error.headers or {})
        return response

    @on(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again, and the guard logs it.
        return refused(request, ImagenError())
