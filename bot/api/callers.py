"""Who calls: the key that a request presents, or the owner of this machine."""

import base64
import binascii
import ipaddress
import time
from collections.abc import Callable
from typing import Final

from fastapi import Request

from bot.api.errors import NoValidKey, TooManyCalls
from bot.store import ApiKey, Store

LOCAL: Final = ApiKey(id="local", name="local", nsfw=True, admin=True)
"""The caller of a server that has no keys: someone on this machine."""
RATES_MAX: Final = 10_000
"""Keys whose recent calls are remembered."""


class Callers:
    """Tells callers apart, and counts what each asks for in a minute."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._spent: dict[str, tuple[float, float]] = {}

    async def of(self, request: Request) -> ApiKey:
        """Raises NoValidKey.

        Where no key is needed, any is as good as none: clients of OpenAI cannot do without one.
        """
        secret = presented(request)
        if secret is not None and (key := await self._store.api_keys.find(secret)) is not None:
            return key
        if await self._store.api_keys.needed() or not is_local(request):
            raise NoValidKey("api.key.missing" if secret is None else "api.key.invalid")
        return LOCAL

    def count(self, caller: ApiKey) -> None:
        """Count a request for images. Raises TooManyCalls beyond the key's rate.

        A bucket that holds as many requests as the key may make in a minute, and fills up evenly.
        """
        if caller.rate is None:
            return
        now = self._clock()
        left, at = self._spent.get(caller.id, (float(caller.rate), now))
        left = min(float(caller.rate), left + (now - at) * caller.rate / 60)
        if left < 1:
            wait = (1 - left) * 60 / caller.rate
            raise TooManyCalls("api.rate", limit=caller.rate, when=time.time() + wait)
        if len(self._spent) >= RATES_MAX:
            self._spent.clear()
        self._spent[caller.id] = (left - 1, now)


def presented(request: Request) -> str | None:
    """The key that a request carries; None without one.

    In `Authorization: Bearer`, in `X-API-Key`, or as either part of `Authorization: Basic`, which
    clients of AUTOMATIC1111 send. Raises NoValidKey if the header cannot be read.
    """
    if (key := request.headers.get("x-api-key")) is not None:
        return key.strip()
    if (header := request.headers.get("authorization")) is None:
        return None
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise NoValidKey("api.key.invalid") from None
            return password or user
        case _:
            raise NoValidKey("api.key.invalid")


def is_local(request: Request) -> bool:
    """Whether a call comes from this machine, and not through a proxy on it."""
    forwarded = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers)
    if forwarded or request.client is None:
        return False
    return is_loopback(request.client.host)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
