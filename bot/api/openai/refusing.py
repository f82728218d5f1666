"""Errors as OpenAI words them: a type, a code, and the parameter that is wrong."""

from http import HTTPStatus
from typing import Any, Final

from bot.api.errors import Answer
from bot.api.original.bodies import NAMES as SHARED
from bot.api.refusals import Form

NAMES: Final = {**SHARED, "count": "n"}
CODES: Final = {
    "api.field.missing": "missing_required_parameter",
    "api.field.unknown": "unknown_parameter",
    "api.field.wrong": "invalid_type",
}
"""OpenAI's codes for what pydantic finds wrong."""
PARAMS: Final = {"model": "model", "lora": "loras", "prompt": "prompt", "picture": "image"}
"""First part of a code → the parameter that is wrong, where the error names none."""
AMBIGUOUS: Final = "model.several"


def error(answer: Answer) -> dict[str, Any]:
    """The object that errors and events about errors carry."""
    return {
        "message": answer.detail,
        "type": _type(answer),
        "param": _param(answer),
        "code": _code(answer),
    }


def _is_about_model(answer: Answer) -> bool:
    return answer.code.startswith("model.") and answer.code != AMBIGUOUS


def _status(answer: Answer) -> int:
    return HTTPStatus.NOT_FOUND if _is_about_model(answer) else answer.status


def _type(answer: Answer) -> str:
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "requests"
    return "invalid_request_error"


def _param(answer: Answer) -> str | None:
    field = answer.params.get("field")
    if isinstance(field, str):
        return None if field == "body" else field
    kind = answer.code.partition(".")[0]
    return PARAMS.get(kind)


def _code(answer: Answer) -> str:
    if _is_about_model(answer):
        return "model_not_found"
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return "invalid_api_key"
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "rate_limit_exceeded"
        case HTTPStatus.BAD_REQUEST:
            return CODES.get(answer.code, "invalid_value")
        case _:
            return answer.code


FORM: Final = Form(
    prefix="/v1/",
    names=NAMES,
    body=lambda answer: {"error": error(answer)},
    status=_status,
)
