"""The HTTP interface of a running core. Imports FastAPI, so import it only where it is served."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from bot.api.app import application
from bot.api.callers import Callers
from bot.api.desk import Desk
from bot.api.languages import speaker_for
from bot.api.parts import Parts
from bot.api.server import served
from bot.health import Check, Health
from bot.serve.core import Core


@asynccontextmanager
async def http_served(
    core: Core,
    host: str,
    port: int,
    checks: Mapping[str, Check],
) -> AsyncIterator[None]:
    """Serve while the block lasts. checks: what `/healthz` reports. Raises SettingsError."""
    callers = Callers(core.backend.store)
    parts = Parts(
        desk=Desk(core.backend, core.workers, core.following, callers),
        callers=callers,
        health=Health(checks),
        speaker=partial(speaker_for, core.texts),
        inventory=None if core.elsewhere is None else core.elsewhere.inventory,
    )
    settings = core.settings.model_copy(update={"api_host": host})
    app = application(parts, core.texts, settings)
    async with served(app, core.backend.store, host, port):
        yield
