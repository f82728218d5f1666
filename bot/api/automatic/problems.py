"""Errors in AUTOMATIC1111's form, and routes that answer so."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from bot.api.automatic.bodies import NAMES
from bot.api.bodies import StrictRoute
from bot.api.errors import Answer, WrongMediaType, answer_to, status_of_failure, wrong_field
from bot.api.refusals import Form
from bot.errors import ImagenError, JobFailed, UserError
from bot.texts.language import Say

STATUS: Final = {
    "scheduler.unknown": HTTPStatus.NOT_FOUND,
    "scheduler.unlike": HTTPStatus.NOT_FOUND,
    "api.automatic.script": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Where a client of AUTOMATIC1111 expects another status than our other interfaces have."""


class AsciiJson(JSONResponse):
    """JSON that may repeat what a caller sent: even half a character (a lone surrogate)."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode("ascii")


def answering(speaker: Callable[[Request], Say]) -> type[APIRoute]:
    """The class of the interface's routes."""

    class AutomaticRoute(StrictRoute):
        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Any:
                try:
                    return await handle(request)
                except (ImagenError, RequestValidationError, HTTPException) as error:
                    return problem(error, speaker(request))

            return answer

    return AutomaticRoute


def problem(error: ImagenError | RequestValidationError | HTTPException, say: Say) -> AsciiJson:
    """The answer to a call that raised `error`."""
    match error:
        case RequestValidationError() if isinstance(error.body, bytes):
            return _own(answer_to(WrongMediaType("api.http.kind"), say), "WrongMediaType")
        case RequestValidationError():
            return _invalid(error, say)
        case HTTPException(__cause__=ImagenError() as cause):
            return problem(cause, say)
        case HTTPException():
            # One that FastAPI raised while it read the body.
            return AsciiJson(
                {
                    "error": type(error).__name__,
                    "detail": str(error.detail),
                    "body": "",
                    "errors": f"{error.status_code}: {error.detail}",
                },
                error.status_code,
            )
        case _:
            return _own(answer_to(error, say, NAMES), type(error).__name__, _status(error))


def _status(error: ImagenError) -> HTTPStatus | None:
    if isinstance(error, JobFailed):
        return status_of_failure(error.code)
    return STATUS.get(error.code) if isinstance(error, UserError) else None


def _own(answer: Answer, name: str, status: HTTPStatus | None = None) -> AsciiJson:
    return AsciiJson(_body(answer, name), status or answer.status, answer.headers)


def _body(answer: Answer, name: str = "HTTPException") -> dict[str, str]:
    return {"error": name, "detail": answer.detail, "body": "", "errors": answer.detail}


FORM: Final = Form(prefix="/sdapi/", names=NAMES, body=_body)
"""For what is refused before one of the interface's routes is found."""


def _invalid(error: RequestValidationError, say: Say) -> AsciiJson:
    """As FastAPI answers, but without the values: those of images are long."""
    detail = [
        {"type": each["type"], "loc": each["loc"], "msg": wrong_field(each, say).detail}
        for each in error.errors()
    ]
    return AsciiJson({"detail": detail}, HTTPStatus.UNPROCESSABLE_ENTITY)
