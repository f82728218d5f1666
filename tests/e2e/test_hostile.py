"""Malicious users and unstable connections, against the real process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from playground import Interaction, Message, Playground, User, payloads
from playground.state import COMMAND, COMPONENT
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import lines
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until
from tests.parameters import mostly_long

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK: dict[str, Any] = {"steps": 1, "negative": ""}


@pytest.mark.parametrize(
    ("prompt", "answer"),
    mostly_long(
        [
            ("x" * 6_000, "6,000 characters is too long. The limit is 2,000"),
            ("\u200b\u2060\ufeff", "prompt is empty"),
            ("\u202e\u2800 \u3164", "prompt is empty"),
            (f"{CANARY} <lora:ember:0.5", "“\\<lora:ember:0.5” isn't a complete tag"),
            (f"{CANARY} <lora:\u202eember\u202c>", None),
            (f"{CANARY} <lora:../../data/imagen:1>", "no LoRA called “../../data/imagen”"),
            (f"{CANARY} <lora:`**@everyone**`:1>", "\\`\\*\\*@\u200beveryone"),
            (f"{CANARY}\x00\x1b[31m\x07\r\n\x7f", None),
            (f"{CANARY} \u202egnirts \u2066RTL\u2069 ثعلب", None),
            (
                f"{CANARY} @everyone @here <@&1> <#2> </imagine:3> "
                "`a` ```b``` ||c|| > d\n# e\n-# f",
                None,
            ),
            (
                f"{CANARY} {{prompt}} {{0.__class__}} %s %n $(id) '; DROP TABLE jobs; --",
                "nothing to choose",
            ),
            (f"{CANARY} {{0.__class__|%s}} %n $(id) '; DROP TABLE jobs; --", "no wildcard “class”"),
            (f"{CANARY} {{0.format|%s}} %n $(id) '; DROP TABLE jobs; --", None),
            (f"{CANARY} " + "\U0001f98a\u0301" * 300, None),
        ],
        usual=8,
    ),
    ids=range(14),
)
async def test_a_prompt_is_painted_or_refused_and_does_no_harm(
    shared: Bot, playground: Playground, ada: User, prompt: str, answer: str | None
) -> None:
    before = len(shared.home.states())
    call = await ada.slash("imagine", prompt=prompt, **QUICK)
    if answer is not None:
        assert call.message is not None
        assert call.ephemeral
        assert answer in call.message.content
        assert call.message.mentions == set()
        assert len(shared.home.states()) == before
        return
    message = await call.wait(lambda m: bool(m.attachments))
    assert message.mentions == set()
    assert not message.mention_everyone
    shown = lines(message)[0]
    for raw in ("\u202e", "\u2066", "\x00", "\x1b", " `a`", "||c||", "\n# e", "\n-# f", " <@&1>"):
        assert raw not in shown
    await until(lambda: shared.home.states()[-1] == "delivered")


class Trap:
    """A server that should never be contacted."""

    def __init__(self) -> None:
        self.visits = 0
        self.url = ""

    def visited(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def trap() -> AsyncIterator[Trap]:
    trap = Trap()
    async with await asyncio.start_server(trap.visited, "127.0.0.1", 0) as server:
        trap.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.png"
        yield trap


async def test_no_address_that_a_person_writes_is_ever_asked(
    playground: Playground, ada: User, trap: Trap
) -> None:
    text = f"{CANARY} {trap.url} ![]({trap.url})"
    message = await painted(ada, prompt=text, steps=1, negative=text)
    for option in ("model", "lora", "scheduler", "size"):
        call = await ada.slash_options("imagine", {"prompt": CANARY, option: trap.url})
        assert call.ephemeral
        assert call.message is not None
        assert "127.0.0.1" in call.message.content
        await ada.autocomplete("imagine", option, trap.url)
    await ada.say(playground.channel, trap.url, reply_to=message)
    await ada.slash("loras", model=trap.url)
    assert trap.visits == 0


def pressed(playground: Playground, user: User, message: Message, custom_id: str) -> Interaction:
    """Press a button, whether the message has it or not."""
    data = {"custom_id": custom_id, "component_type": 2, "id": 1}
    return Interaction(playground.core, COMPONENT, user, message.channel, data, source=message)


def answers(playground: Playground) -> int:
    """How many interactions the bot has answered."""
    return sum(request.path.endswith("/callback") for request in playground.requests)


def sent(playground: Playground, payload: dict[str, Any]) -> None:
    playground.gateway.emit("INTERACTION_CREATE", payload, guild=playground.guild)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("seed", -2), ("seed", 2**32), ("seed", 10**400)),
        *(("count", 0), ("count", 5), ("steps", 10**400), ("guidance", 31.0)),
        *(("preset", "nothing"), ("hires", 3.0), ("strength", 9), ("size", "1023")),
    ],
)
async def test_options_that_no_client_sends_are_refused(
    shared: Bot, playground: Playground, ada: User, option: str, value: object
) -> None:
    """As if Discord had not validated them."""
    before = len(shared.home.states())
    prompt = {"name": "prompt", "type": 3, "value": CANARY}
    kinds = {"seed": 4, "count": 4, "steps": 4, "guidance": 10, "hires": 10, "strength": 10}
    data = {
        "id": "1",
        "name": "imagine",
        "type": 1,
        "options": [
            prompt,
            {
                "name": option,
                "type": 11 if option == "image" else kinds.get(option, 3),
                "value": value,
            },
        ],
    }
    call = Interaction(playground.core, COMMAND, ada, playground.channel, data)
    await call.start()
    assert call.ephemeral
    assert len(shared.home.states()) == before


async def test_forged_buttons_do_nothing(shared: Bot, playground: Playground, ada: User) -> None:
    shown = await ada.slash("loras")
    assert shown.message is not None
    page, eve = shown.message.text, playground.user("eve")
    asked = answers(playground)
    for custom_id in (
        *("browse:loras:999999:", "browse:loras:-999999:", "browse:models:7:"),
        *("browse:loras:0:demo", "browse:loras:0:nobody", "browse:loras:0:~nobody"),
        *("", "loras", "browse:loras:0:../x", "browse:loras:0:a/b/c/d", "browse:walls:0:"),
        *("browse:loras:1e9:", "browse:loras:99999999:", "x" * 100),
    ):
        sent(playground, pressed(playground, eve, shown.message, custom_id).payload())
    # An existing button turns the page for anyone who presses it; it has no owner.
    await pressed(playground, eve, shown.message, "browse:loras:1:").start()
    assert shown.message.text != page
    assert answers(playground) == asked + 1
    assert "Traceback" not in shared.log


@pytest.mark.parametrize(
    ("custom_id", "told"),
    mostly_long(
        [
            ("gone:1", "This button or menu no longer works. Please use the command again."),
            (
                "browse:loras:1e9:",
                "This button or menu no longer works. Please use the command again.",
            ),
            ("cancel:abc", "There's no job “abc” in the queue."),
            ("lighter:abc", "I no longer know what this was about. Please use </imagine:"),
        ],
        usual=2,
    ),
)
async def test_a_message_with_an_outdated_button_is_answered(
    shared: Bot, playground: Playground, ada: User, custom_id: str, told: str
) -> None:
    shown = await ada.slash("loras")
    assert shown.message is not None
    shown.message.components[-1]["components"][0]["custom_id"] = custom_id
    press = pressed(playground, ada, shown.message, custom_id)
    await press.start()
    assert press.ephemeral
    assert press.message is not None
    assert press.message.content.startswith(told)
    assert "Traceback" not in shared.log


async def test_an_interaction_that_comes_again_is_done_once(
    shared: Bot, playground: Playground, ada: User
) -> None:
    """As on a resumed connection, which repeats what it sent since it broke."""
    before = len(shared.home.states())
    call = await ada.slash("imagine", prompt=CANARY, **QUICK)
    shown = await ada.slash("loras")
    assert shown.message is not None
    turned = pressed(playground, ada, shown.message, "browse:loras:1:")
    payloads = [call.payload(), shown.payload(), turned.payload()]
    await turned.start()
    for payload in payloads * 2:
        sent(playground, payload)
    await call.wait(lambda m: bool(m.attachments))
    await painted(ada, prompt=CANARY, **QUICK)
    assert len(shared.home.states()) == before + 2
    for repeated in (call, shown, turned):
        assert shared.log.count(f"interaction {repeated.id} received again; dropped") == 2


async def test_forged_reactions_paint_nothing(
    shared: Bot, playground: Playground, ada: User
) -> None:
    result = await painted(ada, prompt=CANARY, **QUICK)
    talk = await ada.say(playground.channel, "🔁")
    guild = playground.guild
    sound = {
        "user_id": str(ada.id),
        "channel_id": str(playground.channel.id),
        "message_id": str(result.id),
        "guild_id": str(guild.id),
        "emoji": {"id": None, "name": "🔁"},
        "member": payloads.member(guild.members[ada.id]),
        "type": 0,
        "burst": False,
    }
    before = len(shared.home.states())
    for change in (
        {"message_id": str(talk.id)},
        {"message_id": "1"},
        {"message_id": str(2**63 - 1)},
        {"emoji": {"id": "5", "name": "🔁\u200d"}},
        {"emoji": {"id": None, "name": None}},
        {"user_id": str(playground.bot.id)},
        {"member": None},
        {"channel_id": "3"},
        {"channel_id": str(playground.nsfw_channel.id)},
    ):
        playground.gateway.emit("MESSAGE_REACTION_ADD", {**sound, **change}, guild=guild)
    await painted(ada, prompt=CANARY, **QUICK)
    assert len(shared.home.states()) == before + 1
    playground.gateway.emit("MESSAGE_REACTION_ADD", sound, guild=guild)
    await playground.wait_message(lambda m: m.reference == result.id and bool(m.attachments))
    assert len(shared.home.states()) == before + 2
    assert "Traceback" not in shared.log
