"""What the tests of the page share: a server with a bot, and how one writes and reads there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import discord
import pytest
import yarl
from playwright.async_api import Locator, Page

from playground import Page as PlaygroundPage
from playground import Playground
from tests.playground.inline_bot import Bot


@dataclass(frozen=True)
class Scene:
    pg: Playground
    bot: Bot
    url: str


@contextlib.asynccontextmanager
async def staged() -> AsyncIterator[Scene]:
    """A playground with its page and the bot that has one of everything."""
    with pytest.MonkeyPatch.context() as patch:
        async with Playground() as pg, PlaygroundPage(pg, port=0) as page:
            patch.setattr(discord.http.Route, "BASE", pg.api_url)
            gateway = yarl.URL(pg.gateway_url)
            patch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
            bot = Bot()
            bot.gate.set()
            running = asyncio.create_task(bot.start(pg.token))
            await pg.wait_commands("paint", "panel", "options", "Recipe", "Gallery")
            yield Scene(pg, bot, page.url)
            await bot.close()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            assert pg.violations == []


def messages(page: Page) -> Locator:
    return page.get_by_role("log").locator("li.message")


async def send(page: Page, line: str) -> None:
    """Type a line anywhere on the page and send it."""
    await page.keyboard.type(line)
    await page.keyboard.press("Enter")
