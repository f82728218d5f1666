"""The bot's status, as the real process tells it."""

import pytest

from playground import Playground
from tests.e2e.home import Bot, Home
from tests.e2e.test_imagine import painted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

LOOKS_AGAIN = 40


def said(playground: Playground) -> str | None:
    presence = playground.gateway.presence
    return None if presence is None else presence["activities"][0]["state"]


async def says(playground: Playground, text: str) -> None:
    await playground.wait_for(lambda: said(playground) == text, timeout=LOOKS_AGAIN)


async def test_it_names_the_model_that_is_loaded_after_a_restart_too(home: Home) -> None:
    async with Playground() as playground:
        user = playground.user("alice")
        async with Bot(home, playground) as bot:
            await playground.wait_for(lambda: playground.gateway.presence, timeout=LOOKS_AGAIN)
            await painted(user, prompt="a fox", model="second")
            await says(playground, "Second model · idle")
            playground.gateway.presence = None
            playground.drop_gateway()
            await says(playground, "Second model · idle")
            await bot.end()
        assert playground.violations == []


async def test_it_says_nothing_where_the_owner_wants_none(home: Home) -> None:
    async with Playground() as playground:
        async with Bot(home, playground, IMAGEN_PRESENCE="false"):
            await painted(playground.user("alice"), prompt="a fox", model="second")
            playground.drop_gateway()
            await playground.wait_for(lambda: playground.gateway_resumes == 1, timeout=10)
        assert playground.gateway.presences == []
