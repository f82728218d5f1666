"""Each interface words what it refuses in its own form."""

import json
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import Request

from bot.api import openai, original
from bot.api.errors import Answer
from bot.api.refusals import Refusals

REFUSALS = Refusals((original.FORM, openai.FORM))
ANSWER = Answer(
    HTTPStatus.BAD_REQUEST, "model.unknown", "Model '\ud800' is unknown", {"value": "\ud800"}
)


def refused(path: str) -> tuple[int, dict[str, Any]]:
    request = Request({"type": "http", "path": path, "headers": []})
    response = REFUSALS.response(request, ANSWER)
    return response.status_code, json.loads(bytes(response.body))


@pytest.mark.parametrize("path", ["/generate", "/v1", "/nope"])
def test_the_original_one_is_for_all_that_is_no_others(path: str) -> None:
    assert refused(path) == (
        400,
        # Half a character cannot be repeated.
        {"detail": "Model '?' is unknown", "code": "model.unknown", "value": "?"},
    )


def test_openais_is_for_its_paths() -> None:
    status, body = refused("/v1/images/generations")
    assert (status, sorted(body)) == (404, ["error"])
    assert body["error"] == {
        "message": "Model '?' is unknown",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
