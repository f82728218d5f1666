"""Validation against Discord's own description, and what happens without it."""

import pytest

from playground import openapi
from tests.playground.test_limits import button, command, embed, row, text


def test_without_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_OPENAPI", "/nowhere.json")
    assert openapi.reason() == "DISCORD_OPENAPI names '/nowhere.json', which is not a file"
    described = openapi.load()
    assert not described.available
    assert described.check_request("POST", "/channels/1/messages", {"content": 5}) == []
    assert described.check_answer("POST", "/channels/1/messages", 200, {}) == []


described_only = pytest.mark.skipif(openapi.reason() is not None, reason=str(openapi.reason()))


@described_only
@pytest.mark.parametrize(
    ("method", "path", "body", "where", "code"),
    [
        ("POST", "/channels/1/messages", {"content": 5}, "content", "BAD_TYPE"),
        ("POST", "/channels/1/messages", embed(title="x" * 257), "embeds.0.title", "MAX_LENGTH"),
        (
            "PATCH",
            "/webhooks/1/t/messages/@original",
            {"content": "x" * 2001},
            "content",
            "MAX_LENGTH",
        ),
        (
            "POST",
            "/interactions/1/t/callback",
            {"type": 4, "data": {"content": "x" * 2001}},
            "data.content",
            "MAX_LENGTH",
        ),
        (
            "POST",
            "/interactions/1/t/callback",
            {"type": 9, "data": {"title": "x" * 46, "custom_id": "c", "components": [text()]}},
            "data.title",
            "MAX_LENGTH",
        ),
        ("PUT", "/applications/1/commands", [command(name="x" * 33)], "0.name", "MAX_LENGTH"),
        (
            "POST",
            "/channels/1/messages",
            {"components": [row(button(label="x" * 81))]},
            "components.0.components.0.label",
            "MAX_LENGTH",
        ),
        ("POST", "/channels/1/messages", {"components": [{"type": 1}]}, "", "REQUIRED"),
    ],
)
def test_the_description_judges_requests(
    method: str, path: str, body: object, where: str, code: str
) -> None:
    (problem,) = openapi.load().check_request(method, path, body)
    assert ".".join(map(str, problem.path)).startswith(where)
    assert code in problem.code


@described_only
def test_the_description_takes_numbers_for_snowflakes_from_the_bot_only() -> None:
    described = openapi.load()
    body = {"content": "x", "message_reference": {"message_id": 5}, "attachments": [{"id": 0}]}
    assert described.check_request("POST", "/channels/1/messages", body) == []
    wrong = described.check_answer("GET", "/gateway", 200, {"url": 5})
    assert wrong == ["url: 5 is not of type 'string' (BASE_TYPE_BAD_TYPE)"]
    assert described.check_answer("GET", "/users/5", 404, {"code": 10013, "message": "x"}) == []
    assert described.check_answer("GET", "/users/5", 404, {"message": "x"}) != []
    assert described.check_answer("GET", "/gateway", 204, None) != []


@described_only
def test_original_is_no_message_id() -> None:
    found = openapi.load().operation("PATCH", "/webhooks/1/t/messages/@original")
    assert found is not None
    assert found[0].endswith("@original")
