"""What is refused for whoever calls."""

import logging
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from bot.api.guard import HEAD_MAX, Guard, name_of, plain_origin
from bot.api.original import FORM
from bot.api.refusals import Refusals
from tests.api.calls import call
from tests.language import TEXTS

CANARY = "canarybird"


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({})(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({}, 500)(scope, receive, send)
    raise ValueError(CANARY) from RuntimeError(CANARY)


async def through(
    *headers: tuple[str, str], app: Any = served, **asked: Any
) -> tuple[int, dict[str, str]]:
    """The status, and the answer's headers."""
    guard = Guard(
        app,
        texts=TEXTS,
        refusals=Refusals([FORM]),
        body_max=1_000,
        hosts=("Imagen.example.", "bücher.example", "10.0.0.5", "with-port.example:8009"),
        origins=("https://Chat.example/", "http://localhost:3000"),
    )
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("a body is read")

    await guard(call(*headers, **asked).scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8009", "localhost"),
        ("localhost.", "localhost"),
        ("localhost.:8009", "localhost"),
        ("[::1]:8009", "::1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("", ""),
        (":8009", ""),
        ("a@localhost", ""),
        ("localhost@evil.example", ""),
        ("localhost:8009:9", ""),
        ("localhost/", ""),
        ("localhost#", ""),
        ("[::1", ""),
        ("local host", ""),
        ("localhost:x", ""),
        ("é" * 300, ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert name_of(host) == name


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8009", 200),
        ("127.0.0.1", 200),
        ("[::1]:8009", 200),
        ("172.17.0.2:8009", 200),
        ("imagen.example", 200),
        ("IMAGEN.EXAMPLE.:443", 200),
        ("xn--bcher-kva.example", 200),
        ("with-port.example", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("imagen.example.evil", 403),
        ("evil.example@localhost", 403),
        ("", 403),
        (None, 403),
    ],
)
async def test_a_name_made_to_point_here_is_refused(host: str | None, status: int) -> None:
    assert (await through(host=host))[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8009", 200),
        ("https://localhost:8009", 200),
        ("https://chat.example", 200),
        ("HTTPS://CHAT.EXAMPLE", 200),
        ("http://localhost:3000", 200),
        ("http://localhost", 403),
        ("http://localhost:3001", 403),
        ("http://chat.example", 403),
        ("https://chat.example.evil", 403),
        ("https://chat.example:444", 403),
        ("null", 403),
        ("", 403),
        ("*", 403),
        ("file://", 403),
        ("http://evil.example@localhost:8009", 403),
    ],
)
async def test_other_websites_may_not_call(origin: str, status: int) -> None:
    assert (await through(("origin", origin)))[0] == status


@pytest.mark.parametrize(
    ("site", "mode", "path", "status"),
    [
        ("same-origin", "cors", "/models", 200),
        ("same-site", "no-cors", "/models", 200),
        ("none", "navigate", "/docs", 200),
        ("cross-site", "navigate", "/image/abc", 200),
        ("cross-site", "no-cors", "/image/abc", 403),
        ("cross-site", "no-cors", "/v1/images/abc", 200),
    ],
)
async def test_other_websites_may_not_show_its_images(
    site: str, mode: str, path: str, status: int
) -> None:
    headers = (("sec-fetch-site", site), ("sec-fetch-mode", mode))
    assert (await through(*headers, path=path))[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("content-length", "1000"),), 200),
        ((("content-length", "1001"),), 413),
        ((("content-length", "9" * 20),), 413),
        ((("transfer-encoding", "chunked"),), 200),
        ((("content-length", "4"), ("transfer-encoding", "chunked")), 400),
        ((("x", "a" * HEAD_MAX),), 431),
        ((("x", ""),) * (HEAD_MAX // 4), 431),
        ((("x", "a" * (HEAD_MAX // 2)),), 200),
    ],
    ids=range(8),
)
async def test_what_is_too_large_or_ambiguous(
    headers: tuple[tuple[str, str], ...], status: int
) -> None:
    got, answered = await through(*headers)
    assert got == status
    assert ("connection" in answered) is (status == 400)


async def test_an_answer_is_never_taken_for_a_page() -> None:
    for _, headers in (await through(), await through(host="evil.example")):
        assert headers["x-content-type-options"] == "nosniff"


async def test_what_an_error_says_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        status, _ = await through(app=broken)
    assert status == 500
    assert "ValueError" in caplog.text
    assert "in broken" in caplog.text
    assert CANARY not in caplog.text.replace("raise ValueError(CANARY)", "")


def test_an_origin_as_browsers_send_it() -> None:
    assert plain_origin("HTTPS://Bücher.example:444/") == "https://xn--bcher-kva.example:444"
