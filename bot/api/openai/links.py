"""Links to images that need no key: anyone who has one may open it for an hour.

Clients hand such links to programs that have no key, such as a browser.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from fastapi import Request

from bot.api.errors import Forbidden
from bot.store import ApiKey, Store

VALID: Final = 3600
"""Seconds, as OpenAI's are."""
SETTING: Final = "link_secret"
"""Holds what links are signed with, drawn when it is first needed."""
PATH: Final = "/v1/images/files"
HOLDER: Final = ApiKey(id="link", name="link", admin=True)
"""Stands for anyone with a valid link, which names one image of any caller."""

_HOST: Final = re.compile(r"[A-Za-z0-9.\-_\[\]:]{1,255}")


class Links:
    """Makes links, and checks them."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._secret: bytes | None = None
        self._drawing = asyncio.Lock()

    async def to(self, request: Request, job_id: str, name: str, compression: int) -> str:
        """An absolute URL. name: the image's number and format, such as `1.png`."""
        expires = int(self._clock()) + VALID
        signature = await self._sign(job_id, name, compression, expires)
        query = {"compression": compression, "expires": expires, "signature": signature}
        return f"{_root(request)}{PATH}/{job_id}/{name}?{urlencode(query)}"

    async def check(
        self, job_id: str, name: str, compression: int, expires: int, signature: str
    ) -> None:
        """Raises Forbidden unless it is a link that was made here within the last hour."""
        right = await self._sign(job_id, name, compression, expires)
        same = hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace"))
        if not same or expires < self._clock():
            raise Forbidden("api.link")

    async def _sign(self, job_id: str, name: str, compression: int, expires: int) -> str:
        text = f"{job_id}/{name}?{compression}&{expires}"
        return hmac.new(await self._key(), text.encode(), hashlib.sha256).hexdigest()

    async def _key(self) -> bytes:
        async with self._drawing:
            if self._secret is None:
                kept = await self._store.setting(SETTING)
                if kept is None:
                    kept = secrets.token_hex(32)
                    await self._store.set_setting(SETTING, kept)
                self._secret = bytes.fromhex(kept)
            return self._secret


def _root(request: Request) -> str:
    """The server's address as the caller knows it, also through a proxy that says so.

    Only the caller themselves gets to see it.
    """
    headers = request.headers
    scheme = headers.get("x-forwarded-proto", request.url.scheme)
    host = headers.get("x-forwarded-host", "")
    if not _HOST.fullmatch(host):
        host = headers.get("host", "")
    return f"{'https' if scheme == 'https' else 'http'}://{host}"
