"""JSON answers with images in base64, written slice by slice.

Written in one go, some images keep Python's lock (the GIL) for 0.1 s and more, and the event loop
stands still even if that happens in another thread. Here names stand for them until the rest is
written.
"""

import asyncio
import re
import secrets
from collections.abc import Callable

from starlette.responses import Response

from bot.api.large_base64 import slices


class ImagesIn:
    """The images that a text is to contain in base64."""

    def __init__(self) -> None:
        self._named: dict[bytes, bytes] = {}

    def name(self, data: bytes) -> str:
        """What to write in place of an image; no caller can guess it."""
        name = secrets.token_hex(16)
        self._named[name.encode()] = data
        return name

    def fill(self, text: str) -> bytes:
        """`text`, with the images in it in place of their names. Any thread."""
        written = text.encode()
        if not self._named:
            return written
        parts = re.split(b"(" + b"|".join(self._named) + b")", written)
        return b"".join(piece for part in parts for piece in self._pieces(part))

    def _pieces(self, part: bytes) -> tuple[bytes, ...]:
        return tuple(slices(self._named[part])) if part in self._named else (part,)

    async def json(self, write: Callable[[], str]) -> Response:
        """An answer with the JSON of `write`, which is called in another thread."""
        body = await asyncio.to_thread(lambda: self.fill(write()))
        return Response(body, media_type="application/json")
