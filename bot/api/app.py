"""The application: all interfaces, and how errors are answered."""

import logging
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from bot import __version__
from bot.api import original
from bot.api.errors import Answer, WrongMediaType, answer_to, wrong_field
from bot.api.gate import LARGE_MAX, Gate
from bot.api.guard import Guard, plain_origin
from bot.api.original.bodies import NAMES
from bot.api.parts import Parts
from bot.errors import ImagenError
from bot.settings import Settings
from bot.texts.language import Texts

log = logging.getLogger(__name__)

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
    app.include_router(original.routes(parts))
    _answer_errors(app, parts)
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
    return Guard(app, texts=texts, body_max=LARGE_MAX, hosts=hosts, origins=settings.api_origins)


def _answer_errors(app: FastAPI, parts: Parts) -> None:
    def on(error: type[Exception]) -> Callable[[Any], Any]:
        return app.exception_handler(error)

    @on(ImagenError)
    async def own(request: Request, error: ImagenError) -> JSONResponse:
        return _problem(answer_to(error, parts.speaker(request), NAMES))

    @on(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        say = parts.speaker(request)
        if isinstance(error.body, bytes):  # as it was not declared to be JSON
            return _problem(answer_to(WrongMediaType("api.http.kind"), say))
        return _problem(wrong_field(error.errors()[0], say))

    @on(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        say = parts.speaker(request)
        if isinstance(error.__cause__, ImagenError):  # raised while FastAPI read the body
            return _problem(answer_to(error.__cause__, say, NAMES))
        code = SENTENCES.get(error.status_code)
        detail = say(code) if code else str(error.detail)
        body = {"detail": detail, "code": code or f"http.{error.status_code}"}
        return JSONResponse(body, error.status_code, dict(error.headers or {}))

    @on(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again, and the guard logs it.
        return _problem(answer_to(ImagenError(), parts.speaker(request)))


def _problem(answer: Answer) -> JSONResponse:
    body = {"detail": answer.detail, "code": answer.code, **answer.params}
    return JSONResponse(body, answer.status, answer.headers)
