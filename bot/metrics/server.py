"""`GET /healthz` and `GET /metrics` over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.errors import SettingsError
from bot.health import Health
from bot.metrics.metrics import Metrics


@asynccontextmanager
async def exposed(host: str, port: int, metrics: Metrics, health: Health) -> AsyncIterator[None]:
    """Serve on `host`:`port` while the block lasts. Raises SettingsError if that fails.

    `/healthz` answers 200 if every check passes, else 503, with a JSON object in either case.
    """

    async def healthz(_: web.Request) -> web.Response:
        report = await health.report()
        well = all(word == "ok" for word in report.values())
        body = {"status": "ok" if well else "unwell", **report}
        return web.json_response(body, status=200 if well else 503)

    async def figures(_: web.Request) -> web.Response:
        return web.Response(
            body=await metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", figures)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"IMAGEN_METRICS_PORT: port {port} of {host} cannot be opened: {error.strerror}"
            ) from error
        yield
    finally:
        await runner.cleanup()
