"""Whatever is sent to the page's server, it answers with a reason and goes on."""

import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from playground import Page, Playground
from playground.page.body import DEPTH_MAX, Malformed, parse
from tests.playground.inline_bot import Bot

ACTS = (
    *("say", "slash", "autocomplete", "menu", "click", "select", "submit", "react", "unreact"),
    *("delete", "locale", "nothing"),
)
FIELDS = (
    *("as", "channel", "message", "text", "files", "reply_to", "command", "options", "option"),
    *("typed", "name", "user", "component", "values", "form", "emoji", "locale"),
)


@pytest_asyncio.fixture
async def page(pg: Playground) -> AsyncIterator[Page]:
    async with Page(pg, port=0) as page:
        yield page


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(
    session: aiohttp.ClientSession, page: Page, act: str, raw: bytes, kind: str = "application/json"
) -> tuple[int, str]:
    headers = {"Origin": page.url, "Content-Type": kind}
    async with session.post(f"{page.url}/api/{act}", data=raw, headers=headers) as response:
        return response.status, await response.text()


def nested(levels: int) -> bytes:
    return b'{"as": ' + b"[" * levels + b"]" * levels + b"}"


BODIES = [
    (b"", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'{"a":' * 100_000, "not JSON"),
    (nested(900), "nested deeper than 32 levels"),
    (nested(100_000), "not JSON"),
    (b'{"as": ' + b"9" * 10_000 + b"}", "not JSON"),
    (b'{"as": 1e999}', "a number beyond any range"),
    (b'{"as": NaN}', "not JSON"),
    (b'{"as": -Infinity}', "not JSON"),
    (b'{"as": "\\ud800"}', "half a surrogate pair"),
    (b'{"\\udfff": 1}', "half a surrogate pair"),
    (b'{"as": "\xff"}', "not JSON"),
    ("{}".encode("utf-16"), "not JSON"),
    (b"[]", "not a JSON object"),
    (b"null", "not a JSON object"),
    (b'{"as": {"a": 1}}', "does not act as {'a': 1}"),
    (json.dumps({"as": "x" * 100_000}).encode(), "does not act as 'xxx"),
]


@pytest.mark.parametrize(("raw", "said"), BODIES, ids=range(len(BODIES)))
async def test_a_body_that_the_page_would_not_send(
    page: Page,
    session: aiohttp.ClientSession,
    raw: bytes,
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for kind in ("application/json", "application/json; charset=nonsense"):
        status, text = await post(session, page, "say", raw, kind)
        assert status in {400, 403}
        assert said in text
        assert len(text) < 500
    assert caplog.records == []


async def test_a_body_that_is_too_large(
    pg: Playground, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.page.server.BODY_MAX", 1000)
    async with Page(pg, port=0) as small:
        status, text = await post(session, small, "say", b'"' + b"x" * 5_000)
    assert status == 413
    assert "more than 1000 bytes" in text


def test_what_is_just_not_too_deep_is_read() -> None:
    fine = {"a": "é😀"}
    for _ in range(DEPTH_MAX - 2):
        fine = {"a": fine}  # type: ignore[dict-item]
    assert parse(json.dumps(fine).encode()) == fine
    with pytest.raises(Malformed, match="nested deeper"):
        parse(json.dumps({"a": fine}).encode())


@pytest.mark.long
async def test_no_value_of_any_type_gives_a_traceback(
    pg: Playground,
    bot: Bot,
    page: Page,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await pg.wait_commands("paint")
    ada = pg.user("ada")
    await ada.slash("panel")
    [panel] = pg.messages()
    pg.ack_deadline = 0.2
    names = [str(entry.get("custom_id")) for row in panel.components for entry in row["components"]]
    draw = random.Random(7)
    strange: tuple[Any, ...] = (
        *(None, True, 0, -1, 1.5, 2**62, 10**300, 1e300, "", " ", "x", "x" * 3000, "\0", "²", "٣"),
        *([], [[]], [None], ["x", 1], {}, {"name": 1}, {"name": "a", "data": "é"}, [{"name": "a"}]),
        *([{"name": "\n/..", "data": "eA=="}], {"name": [], "data": ""}, "a:1", "a:²", "👍", "/"),
    )
    usual: dict[str, Any] = {
        "as": str(ada.id),
        "channel": str(pg.channel.id),
        "message": str(panel.id),
        "text": "hello",
        "command": "options",
        "options": {"text": "abc"},
        "option": "lora",
        "typed": "x",
        "name": "Recipe",
        "component": names[0],
        "emoji": "👍",
        "locale": "fr",
    }
    options = ("text", "whole", "real", "yes", "who", "role", "place", "any_of", "file", "pick")
    bodies: list[tuple[str, dict[str, Any]]] = [
        (act, usual | {field: value})
        for act, field, value in itertools.product(ACTS, FIELDS[1:], strange)
        if draw.random() < 0.08 or field == "command"
    ]
    for name, value in itertools.product(options, strange):
        bodies.append(("slash", usual | {"options": {"text": "abc", name: value}}))
    for name, value in itertools.product(names, strange):
        bodies.append(("select", usual | {"component": name, "values": value}))
        bodies.append(("select", usual | {"component": name, "values": [value]}))
    for act, body in bodies:
        status, _ = await post(session, page, act, json.dumps(body).encode())
        assert status in {200, 400, 403, 404, 409, 504}, (act, body)
    assert [r for r in caplog.records if r.name.startswith("aiohttp")] == []


async def test_no_value_of_a_form_gives_a_traceback(
    pg: Playground,
    bot: Bot,
    page: Page,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await pg.wait_commands("panel")
    ada = pg.user("ada")
    await ada.slash("panel")
    [panel] = pg.messages()
    body = {"as": str(ada.id), "message": str(panel.id), "component": "Form"}
    status, text = await post(session, page, "click", json.dumps(body).encode())
    assert status == 200, text
    answer = json.loads(text)
    field = answer["form"]["components"][0]
    field = (field.get("component") or field["components"][0])["custom_id"]
    values: list[Any] = [5, None, [], {}, [{}], True, [5], {"name": "a", "data": "b"}]
    for value in values:
        sent = {"as": str(ada.id), "form": answer["interaction"], "values": {field: value}}
        status, text = await post(session, page, "submit", json.dumps(sent).encode())
        assert status == 400, (value, text)
        assert "is not text" in text
    assert [r for r in caplog.records if r.name.startswith("aiohttp")] == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/start", {"Sec-Fetch-Site": "\udcff"}),
        ("/api/start", {"Origin": "\udcff"}),
        ("/api/events?as=%ff%00", {}),
        ("/api/events?as=" + "x" * 5000, {}),
        ("/api/" + "x" * 5000, {}),
        ("/%ff%00", {}),
        ("/api/%2e%2e%2f", {}),
    ],
    ids=range(7),
)
async def test_paths_and_headers(
    page: Page,
    session: aiohttp.ClientSession,
    path: str,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for method in ("GET", "POST", "PUT", "HEAD"):
        own = {"Origin": page.url, "Content-Type": "application/json"} if method != "GET" else {}
        async with session.request(
            method, page.url + path, headers={**own, **headers}, data=b"{}" if own else None
        ) as response:
            assert 400 <= response.status < 500
            assert len(await response.text()) < 500
    assert caplog.records == []
