"""Discord cannot be reached, or not for long: the bot tries again, and leaves nothing open."""

import signal
from pathlib import Path

import pytest

from playground import Playground, User
from tests.chaos.harness import ChaosHome, LightBot, until
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


OPEN = "Unclosed"
TRIES = 6


class TidyBot(LightBot):
    """Collects its garbage often, so that whatever was left open is reported."""

    program = Path(__file__).with_name("tidy_bot.py")


def tried(bot: LightBot, what: str) -> int:
    return bot.log.count(f"cannot {what}")


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "status"),
    mostly_long(
        [(r"/users/@me$", 403), (r"/oauth2/applications/@me$", 404), (r"/gateway$", 403)], usual=1
    ),
)
async def test_failed_logins_leave_nothing_open(
    home: ChaosHome, playground: Playground, ada: User, path: str, status: int
) -> None:
    playground.fail_next("GET", path, status, times=TRIES)
    async with TidyBot(home, playground) as bot:
        assert tried(bot, "") == TRIES
        call = await ada.slash("imagine", prompt="x")
        await call.wait(lambda m: bool(m.attachments))
        assert await bot.end() == 0
    assert OPEN not in bot.log


@pytest.mark.long
async def test_a_stop_while_logging_in_leaves_nothing_open(
    home: ChaosHome, playground: Playground
) -> None:
    playground.drop_next("GET", r"/users/@me$", times=1000)
    async with TidyBot(home, playground).starting() as bot:
        await until(lambda: tried(bot, "log in") >= 3)
        bot.send(signal.SIGTERM)
        assert await bot.wait() == 0
    assert OPEN not in bot.log


async def test_a_token_that_is_refused_leaves_nothing_open(
    home: ChaosHome, playground: Playground
) -> None:
    playground.drop_next("GET", r"/users/@me$", times=2)
    async with TidyBot(home, playground, DISCORD_TOKEN="a.b.c").starting() as bot:
        assert await bot.wait() == 78
    assert OPEN not in bot.log


async def test_a_name_that_cannot_be_looked_up_leaves_nothing_open(
    home: ChaosHome, playground: Playground
) -> None:
    nowhere = {"DISCORD_API_URL": "http://discord.invalid/api/v10"}
    async with TidyBot(home, playground, **nowhere).starting() as bot:
        await until(lambda: tried(bot, "log in") >= 3)
        bot.send(signal.SIGTERM)
        assert await bot.wait() == 0
    assert OPEN not in bot.log


async def test_gateways_that_fail_leave_nothing_open(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    for _ in range(3):
        playground.refuse_gateway_next()
    async with TidyBot(home, playground) as bot:
        call = await ada.slash("imagine", prompt="x")
        await call.wait(lambda m: bool(m.attachments))
        assert await bot.end() == 0
    assert OPEN not in bot.log
