"""Downloads: https://docs.discord.com/developers/reference#signed-attachment-cdn-urls."""

from aiohttp import web

from playground import uploads
from playground.core import Core


class Cdn:
    """Serves ``/attachments/{channel}/{id}/{name}``, and ``/ephemeral-attachments/…``."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def handle(self, request: web.Request) -> web.Response:
        """Serve the bytes for a signed URL; 404, as the real one, for a wrong or unsigned URL."""
        path = request.path
        found = self._core.files.get(path)
        if found is None or request.query.get("hm") != uploads.signature(self._core, path):
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=found.data, headers={"Content-Type": found.content_type})
