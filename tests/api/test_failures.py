"""Jobs that failed, as each interface that waits for them says it: whose fault it was."""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from bot.api.automatic.problems import problem
from bot.api.errors import ASKED_WRONG
from bot.api.openai.refusing import FORM
from bot.api.openai.serving import _failure
from bot.errors import JobFailed
from bot.store import Failure, Job, JobState
from tests.language import TEXTS
from tests.store.factories import any_job

say = TEXTS.speaker()
PARAMS: dict[str, dict[str, Any]] = {
    "prompt.tokens": {"model": "klein", "value": 600, "max": 487},
    "prompt.chunks": {"value": 40, "max": 32, "room": 75},
    "picture.small": {"width": 30, "height": 20, "min": 64},
    "picture.narrow": {"width": 900, "height": 70, "max": 8},
}


def failed(code: str, **params: Any) -> Job:
    return replace(any_job(), state=JobState.FAILED, error=Failure(code, params))


@pytest.mark.parametrize("code", sorted(ASKED_WRONG))
def test_what_cannot_be_had_is_the_callers_fault(code: str) -> None:
    sentence = say(code, **PARAMS[code])
    answer = _failure(failed(code, **PARAMS[code]), say)
    assert answer.status == HTTPStatus.BAD_REQUEST
    error = FORM.body(answer)["error"]
    param = {"prompt": "prompt", "picture": "image"}[code.partition(".")[0]]
    assert error == {
        "message": sentence,
        "type": "invalid_request_error",
        "param": param,
        "code": "invalid_value",
    }
    response = problem(JobFailed(code, **PARAMS[code]), say)
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert json.loads(bytes(response.body))["detail"] == sentence


def test_what_the_server_cannot_do_is_its_own() -> None:
    params = {"width": 1024, "height": 1024}
    answer = _failure(failed("memory.out", **params), say)
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert FORM.body(answer)["error"]["type"] == "server_error"
    assert problem(JobFailed("memory.out", **params), say).status_code == answer.status
