"""`main.py serve`: the HTTP interface without Discord."""

from functools import partial

from bot.api.server import DEFAULT_PORT
from bot.cli.serving import serve_until_stopped
from bot.serve import serve_api
from bot.settings import Settings


def serve(settings: Settings, host: str | None, port: int | None) -> int:
    """Serve until interrupted; returns the exit code. host, port: None for the settings'.

    Raises as `serve_until_stopped`.
    """
    host = host or settings.api_host
    port = port or settings.api_port or DEFAULT_PORT
    return serve_until_stopped(settings, partial(serve_api, settings, host, port))
