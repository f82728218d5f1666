"""The page's server: who is let in, what it answers, and what the stream sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import pytest
import pytest_asyncio

from playground import Page, Playground
from tests.playground.inline_bot import Bot
from tests.playground.test_wire_forms import Everything, More

JsonObject = dict[str, Any]
JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture
async def page(pg: Playground) -> AsyncIterator[Page]:
    async with Page(pg, port=0, examples=("/paint prompt: a fox",)) as page:
        yield page


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def act(
    session: aiohttp.ClientSession, page: Page, name: str, /, who: str = "ada", **body: Any
) -> tuple[int, dict[str, Any]]:
    """As the page does it: the status and the answer."""
    async with session.get(f"{page.url}/api/start") as response:
        people = dict(zip(("ada", "bea", "max"), (await response.json())["people"], strict=True))
    async with session.post(
        f"{page.url}/api/{name}", json={"as": people[who], **body}, headers={"Origin": page.url}
    ) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/", {"Host": "playground.example:{port}"}, 403),
        ("GET", "/", {"Host": "127.0.0.1"}, 403),
        ("GET", "/", {"Host": "localhost:{port}"}, 200),
        ("GET", "/", {"Sec-Fetch-Site": "cross-site"}, 200),
        ("GET", "/api/start", {"Host": "rebound.example:{port}"}, 403),
        ("GET", "/api/start", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/api/start", {"Origin": "http://evil.example"}, 403),
        ("GET", "/api/events?as=1", {}, 403),
        ("GET", "/api/events?as={ada}", {"Origin": "null"}, 403),
        ("POST", "/api/locale", {**JSON, "Origin": "http://127.0.0.1:{port}"}, 200),
        ("POST", "/api/locale", JSON, 403),
        ("POST", "/api/locale", {**JSON, "Origin": "http://evil.example"}, 403),
        ("POST", "/api/locale", {**JSON, "Origin": "http://127.0.0.1:1"}, 403),
        ("POST", "/api/locale", {**JSON, "Origin": "null"}, 403),
        (
            "POST",
            "/api/locale",
            {**JSON, "Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
            403,
        ),
        (
            "POST",
            "/api/locale",
            {"Content-Type": "text/plain", "Origin": "http://127.0.0.1:{port}"},
            415,
        ),
        ("POST", "/api/nothing", {**JSON, "Origin": "http://127.0.0.1:{port}"}, 404),
    ],
)
async def test_only_the_page_itself_is_let_in(
    pg: Playground,
    page: Page,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    ada = pg.user("ada")
    known = {"port": page.url.rsplit(":", 1)[1], "ada": ada.id}
    async with session.request(
        method,
        page.url + path.format_map(known),
        headers={name: value.format_map(known) for name, value in headers.items()},
        data=json.dumps({"as": str(ada.id), "locale": "fr"}) if method == "POST" else None,
    ) as response:
        assert response.status == status
    assert ada.locale == ("fr" if (method, status) == ("POST", 200) else "en-US")


async def test_a_port_in_use_gives_way_to_the_next_free_one(pg: Playground) -> None:
    async with Page(pg, port=0) as first:
        wanted = int(first.url.rsplit(":", 1)[1])
        async with Page(pg, port=wanted) as second:
            assert wanted < int(second.url.rsplit(":", 1)[1]) < wanted + 100


async def test_nothing_is_run_that_is_not_the_pages_own(
    page: Page, session: aiohttp.ClientSession
) -> None:
    async with session.get(page.url) as response:
        policy = response.headers["Content-Security-Policy"]
        assert response.content_type == "text/html"
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path", ["/../server.py", "/%2e%2e/server.py", "/js/../../page/server.py", "/nothing.html"]
)
async def test_no_other_file_is_served(
    page: Page, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(page.url + path) as response:
        assert response.status == 404


async def test_what_the_client_or_discord_refuses_is_answered_with_its_reason(
    pg: Playground, bot: Bot, page: Page, session: aiohttp.ClientSession
) -> None:
    await pg.wait_commands("paint")
    here = str(pg.channel.id)
    tries: list[tuple[str, dict[str, Any], int, str]] = [
        ("slash", {"command": "paint"}, 409, "'prompt' is required"),
        ("slash", {"command": "nothing"}, 409, "no command 'nothing'"),
        ("slash", {"command": "options", "options": {"text": "x"}}, 409, "allowed: 2 to 10"),
        ("slash", {"command": "adult"}, 409, "age-restricted"),
        ("slash", {"command": 5}, 400, "command: 5 is not text"),
        (
            "slash",
            {"command": "options", "options": {"file": "x"}},
            400,
            "a file must be an object",
        ),
        ("say", {"text": "  "}, 409, "empty message"),
        ("say", {"text": "x" * 2001}, 409, "2001 characters; the limit is 2000"),
        ("click", {"message": "1", "component": "x"}, 409, "does not exist any more"),
        ("react", {"message": "x", "emoji": "x"}, 400, "'x' is not an id"),
        ("locale", {"locale": "tlh"}, 400, "not one of Discord's"),
        ("submit", {"form": "1"}, 409, "no longer open"),
    ]
    for name, body, status, reason in tries:
        answer = await act(session, page, name, channel=here, **body)
        assert answer[0] == status, (name, body, answer)
        assert reason in answer[1]["text"]
    assert pg.messages() == []
    pg.ack_deadline = 0.02
    bot.gate.clear()
    status, told = await act(session, page, "slash", channel=here, command="slow")
    assert (status, told["error"]) == (504, "silent")


async def test_every_kind_of_option_arrives(
    pg: Playground, bot: Bot, page: Page, session: aiohttp.ClientSession
) -> None:
    await pg.wait_commands("options")
    role = pg.add_role("painters")
    bea = pg.user("bea")
    options = {
        "text": "abc",
        "whole": 2,
        "real": 1.5,
        "yes": True,
        "who": str(bea.id),
        "role": str(role.id),
        "place": str(pg.channel.id),
        "any_of": str(role.id),
        "file": {"name": "a.txt", "data": "aGVsbG8="},
        "pick": 2,
    }
    status, _ = await act(
        session, page, "slash", channel=str(pg.channel.id), command="options", options=options
    )
    assert status == 200
    [answer] = pg.messages()
    names = ["bea", "painters", "general", "painters"]
    assert answer.content == f"abc 2 1.5 True {names} 5 2"


class Told:
    """The events of one stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self, wanted: str) -> Any:
        async with asyncio.timeout(10):
            name = ""
            async for line in self._response.content:
                key, _, value = line.decode().strip().partition(": ")
                if key == "event":
                    name = value
                elif key == "data" and name == wanted:
                    return json.loads(value)
        raise AssertionError(f"the stream ended without {wanted!r}")


async def test_each_person_is_told_what_that_person_sees(
    pg: Playground, bot: Bot, page: Page, session: aiohttp.ClientSession
) -> None:
    await pg.wait_commands("secret")
    ada, bea = pg.user("ada"), pg.user("bea")
    await ada.slash("secret")
    said = await bea.say(pg.channel, "hello")
    await ada.react(said, "👍")
    async with (
        session.get(f"{page.url}/api/events?as={ada.id}") as for_ada,
        session.get(f"{page.url}/api/events?as={bea.id}") as for_bea,
    ):
        one, two = Told(for_ada), Told(for_bea)
        assert (await one.next("world"))["me"] == str(ada.id)
        assert (await one.next("message"))["flags"] & 64
        heard = await two.next("message")
        assert (heard["content"], heard["reactions"][0]["me"]) == ("hello", False)
        assert (await one.next("message"))["reactions"][0]["me"] is True
        await bea.say(pg.channel, "more")
        assert (await two.next("message"))["content"] == "more"
        pg.delete_message(said)
        assert (await two.next("gone")) == {"id": str(said.id)}


async def test_commands_on_messages_selects_and_forms(
    pg: Playground, bot: Bot, page: Page, session: aiohttp.ClientSession
) -> None:
    @bot.tree.context_menu(name="Edit")
    async def edit(interaction: discord.Interaction, _: discord.Message) -> None:
        await interaction.response.send_modal(Everything())

    @bot.tree.command(description="Opens another form")
    async def more(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(More())

    await bot.tree.sync()
    here, ada, role = str(pg.channel.id), pg.user("ada"), pg.add_role("painters")

    async def form_of(act_name: str, **body: Any) -> JsonObject:
        status, told = await act(session, page, act_name, channel=here, **body)
        assert status == 200
        assert told["form"].keys() == {"title", "custom_id", "components"}
        return told

    said = str((await ada.say(pg.channel, "look")).id)
    opened = await form_of("menu", name="Edit", message=said)
    values: JsonObject = {
        "prompt": "an owl",
        "model": ["a"],
        "files": [{"name": "a.txt", "data": "aGVsbG8="}],
        "size": "s",
    }
    form = opened["interaction"]
    status, told = await act(session, page, "submit", form=form, values=values | {"model": ["z"]})
    assert (status, told["error"]) == (409, "refused")
    status, told = await act(session, page, "submit", form=form, values=values | {"files": "a"})
    assert (status, told["error"]) == (400, "malformed")
    # A refused one stays open, a sent one does not.
    assert (await act(session, page, "submit", form=form, values=values))[0] == 200
    assert (await act(session, page, "submit", form=form, values=values))[0] == 409
    opened = await form_of("slash", command="more")
    values = {
        "extras": ["b"],
        "sure": True,
        "who": [str(ada.id)],
        "anyone": [str(ada.id), str(role.id)],
        "where": [here],
    }
    form = opened["interaction"]
    status, told = await act(session, page, "submit", form=form, values=values | {"who": ["7"]})
    assert (status, told["error"]) == (409, "refused")
    assert (await act(session, page, "submit", form=form, values=values))[0] == 200
    panel = await (await ada.slash("panel")).wait()
    body: JsonObject = {"message": str(panel.id), "component": "who", "values": [str(ada.id)]}
    assert (await act(session, page, "select", **body))[0] == 200
    assert [m.content for m in pg.messages()] == [
        "look",
        "an owl ['a'] [('a.txt', 5)] s",
        "['b'] True ['ada', 'ada', 'painters', 'general']",
        "panel",
        "ada",
    ]
