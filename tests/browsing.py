"""A headless Chromium for tests of the playground's page."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1180, "height": 860}
PATIENCE = 20_000.0
"""Milliseconds that something may take to appear; the real bot's first image has its own limit."""


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """The browser; without one the test is skipped, but never in CI."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        why = f"no browser: none of {', '.join(NAMES)} is installed"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=QUIET)
        yield chromium
        await chromium.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **context: object) -> AsyncIterator[Page]:
    """The page at ``url``. Its errors, such as a refused script or an exception, fail the test."""
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        # A refused action is answered with 409 or 504, which Chromium logs as an error too.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    options = {"viewport": DESKTOP, "locale": "en-US", "color_scheme": "dark", **context}
    window = await browser.new_context(**options)  # type: ignore[arg-type]
    window.set_default_timeout(PATIENCE)
    page = await window.new_page()
    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        await page.goto(url)
        yield page
    finally:
        await window.close()
    assert complaints == []


@dataclass(frozen=True)
class Camera:
    """Takes the README's screenshots if a folder for them was given; otherwise does nothing."""

    folder: Path | None

    async def take(
        self,
        page: Page,
        name: str,
        *,
        width: int = DESKTOP["width"],
        height: int = DESKTOP["height"],
    ) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(exist_ok=True)
        await page.set_viewport_size({"width": width, "height": height})
        await page.mouse.move(0, 0)
        await page.screenshot(path=self.folder / f"{name}.png", animations="disabled", caret="hide")
        await page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})
