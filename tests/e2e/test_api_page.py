"""The page that documents the HTTP interface, in a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Request, expect

from tests.browsing import opened
from tests.e2e.conftest import CANARY
from tests.e2e.home import Home
from tests.e2e.server import Server
from tests.parameters import mostly_long

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    async with Server(Home(tmp_path_factory.mktemp("page"), models_dir)) as server:
        yield server


@pytest.mark.long
@pytest.mark.parametrize("width", mostly_long([1180, 400], usual=1))
async def test_it_shows_every_route_and_asks_no_one_else(
    server: Server, browser: Browser, width: int
) -> None:
    document = (await server.client.get("/openapi.json")).json()
    asked: list[Request] = []
    viewport = {"width": width, "height": 900}
    async with opened(browser, "about:blank", viewport=viewport) as page:
        failed: list[str] = []
        page.on("request", lambda request: asked.append(request))
        page.on("requestfailed", lambda request: failed.append(request.url))
        await page.goto(server.url)
        assert page.url == f"{server.url}/docs"
        await expect(page.locator(".info .title")).to_contain_text("Imagen")
        calls = [call for path in document["paths"].values() for call in path]
        await expect(page.locator(".opblock")).to_have_count(len(calls))
        block = page.locator(".opblock", has=page.locator('[data-path="/generate"]'))
        await block.locator(".opblock-summary").click()
        await expect(block.get_by_text("Idempotency-Key")).to_be_visible()
        # The page is as wide as the window, however long its lines are.
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await block.get_by_role("button", name="Try it out").click()
        await block.locator("textarea").fill(f'{{"prompt": "{CANARY}", "steps": 1}}')
        await block.get_by_role("button", name="Execute").click()
        await expect(block.locator(".live-responses-table").first).to_contain_text("job_id")
        assert failed == []
    hosts = {urlsplit(request.url).netloc for request in asked if request.url.startswith("http")}
    assert hosts == {urlsplit(server.url).netloc}


@pytest.mark.parametrize(
    "path",
    ["docs", "docs/start.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css"],
)
async def test_what_it_may_do_is_limited(server: Server, path: str) -> None:
    answer = await server.client.get(f"/{path}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
