"""Two processes with the same token: each request is answered and painted once."""

import signal
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from playground import File, Interaction, Message, Playground, User
from tests.chaos.harness import ChaosHome, LightBot, until
from tests.e2e.home import free_port

pytestmark = pytest.mark.long


SEEN = "another copy of this bot runs with the same token"
ONLINE = "bot.chat.client: online"
PARTED = "the other copy of this bot has stopped answering"


@pytest.fixture
async def second(tmp_path: Path, playground: Playground, bot: LightBot) -> AsyncIterator[LightBot]:
    """Another copy, with a data folder of its own, as on another machine."""
    home = ChaosHome(tmp_path / "second", tmp_path / "models")
    other = LightBot(home, playground, IMAGEN_METRICS_PORT=str(free_port()))
    await other.start(online=False)
    await until(lambda: ONLINE in bot.log and ONLINE in other.log)
    try:
        yield other
    finally:
        other.send(signal.SIGTERM)
        await other.wait()


def painted(message: Message) -> bool:
    return bool(message.attachments)


def picture() -> File:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    return File("a.png", buffer.getvalue())


async def asked(user: User) -> Interaction:
    call = await user.slash("imagine", prompt="x", steps=1)
    await call.wait(painted)
    return call


def finished(*bots: LightBot) -> bool:
    return not {"pending", "running", "done"} & {s for bot in bots for s in bot.home.states()}


@pytest.mark.long
async def test_each_request_is_painted_once_and_one_copy_says_so(
    bot: LightBot, second: LightBot, playground: Playground, ada: User
) -> None:
    copies = (bot, second)
    for _ in range(6):
        await asked(ada)
    await until(lambda: finished(*copies))
    results = [message for message in playground.messages() if message.attachments]
    assert len(results) == len(playground.messages()) == 6
    assert sum(one.home.states().count("delivered") for one in copies) == 6
    [late] = [one for one in copies if SEEN in one.log]
    ready = next(one for one in copies if one is not late)
    status, said = await late.health()
    assert (status, said["discord"]) == (
        503,
        "another copy of the bot runs with the same token; stop one of the two",
    )
    assert late.log.count(SEEN) == 1
    assert "another copy" not in (await ready.health())[1]["discord"]
    # It has given up what it had stored, and stores nothing more.
    assert set(late.home.states()) <= {"cancelled", "delivered"}
    rows = len(late.home.states())
    for _ in range(2):
        await asked(ada)
    assert len(late.home.states()) == rows
    # Once it is alone it serves again.
    ready.send(signal.SIGTERM)
    await ready.wait()
    await asked(ada)
    assert len(late.home.states()) == rows + 1
    assert PARTED in late.log
    await ready.start(online=False)
    await playground.wait_for(lambda: len(playground.gateway.connections) == 2)


@pytest.mark.long
async def test_a_lost_answer_is_not_taken_for_another_copy(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    """discord.py repeats the request, and Discord says that there is an answer: our own."""
    for _ in range(3):
        playground.lose_answer_next("POST", r"/interactions/.+/callback")
        await asked(ada)
    await until(lambda: home.states() == ["delivered"] * 3)
    assert len(playground.messages()) == 3
    assert SEEN not in bot.log


async def test_so_it_is_with_a_request_that_is_deferred(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    playground.lose_answer_next("POST", r"/interactions/.+/callback")
    call = await ada.slash("imagine", prompt="x", steps=1, image=picture())
    await call.wait(painted)
    await until(lambda: home.states() == ["delivered"])
    assert len(playground.messages()) == 1
    assert SEEN not in bot.log


@pytest.mark.long
async def test_two_copies_that_defer_take_it_once(
    bot: LightBot, second: LightBot, playground: Playground, ada: User
) -> None:
    for _ in range(3):
        call = await ada.slash("imagine", prompt="x", steps=1, image=picture())
        await call.wait(painted)
    await until(lambda: finished(bot, second))
    assert [len(message.attachments) for message in playground.messages()] == [1] * 3
    assert sum(SEEN in one.log for one in (bot, second)) == 1


@pytest.mark.long
async def test_other_commands_are_answered_once_too(
    bot: LightBot, second: LightBot, playground: Playground, ada: User
) -> None:
    await ada.slash("queue")
    await until(lambda: SEEN in bot.log + second.log)
    for _ in range(2):
        await ada.slash("queue")
    assert (bot.log + second.log).count(SEEN) == 1
    assert "incident" not in bot.log + second.log


async def test_a_lost_answer_to_another_command_is_not_taken_for_another_copy(
    bot: LightBot, playground: Playground, ada: User
) -> None:
    playground.lose_answer_next("POST", r"/interactions/.+/callback")
    await ada.slash("queue")
    await until(lambda: "cannot tell a user" in bot.log)
    assert SEEN not in bot.log


@pytest.mark.long
@pytest.mark.parametrize("code", [40060, 10062])
async def test_a_refusal_without_another_answer_is_not_either(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User, code: int
) -> None:
    playground.fail_next("POST", r"/interactions/.+/callback", 404 if code == 10062 else 400, code)
    with pytest.raises(Exception, match="acknowledge"):
        await ada.slash("imagine", prompt="x", steps=1)
    await until(lambda: home.states() == ["delivered"])
    assert SEEN not in bot.log
