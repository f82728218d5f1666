"""Who calls: the key that a request presents, or the owner of this machine."""

import base64
import binascii
import time
from collections.abc import Callable
from typing import Final

from fastapi import Request

from bot.api.errors import Forbidden, NoValidKey, TooManyCalls
from bot.api.loopback import is_loopback
from bot.store import ApiKey, Store

LOCAL: Final = ApiKey(id="local", name="local", nsfw=True, admin=True)
"""The caller of a server that has no keys: someone on this machine."""
RATES_MAX: Final = 10_000
"""Keys, and addresses, whose recent calls are remembered."""
FAILURES: Final = 20
"""Invalid keys a minute from one address that are answered as such."""
FORWARDING: Final = frozenset(
    {
        "cf-connecting-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-real-ip",
    }
)
"""Headers that proxies add."""


class Callers:
    """Tells callers apart, and counts what each asks for in a minute."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._spent: dict[str, tuple[float, float]] = {}
        self._failed: dict[str, tuple[float, float]] = {}

    async def of(self, request: Request) -> ApiKey:
        """Raises NoValidKey; TooManyCalls for yet another invalid key from the same address;
        Forbidden for the key of a worker, which may do nothing but `worker`.

        Where no key is needed, any is as good as none: clients of OpenAI cannot do without one.
        """
        caller = await self._known(request)
        if caller.worker:
            raise Forbidden("api.key.worker")
        return caller

    async def worker(self, request: Request) -> ApiKey:
        """The worker that calls. Raises as `of`, and Forbidden for every other key.

        Not even this machine's owner is one without a key: model files are not for everyone.
        """
        caller = await self._known(request)
        if caller is LOCAL:
            raise NoValidKey("api.key.missing")
        if not caller.worker:
            raise Forbidden("api.key.not_worker")
        return caller

    async def _known(self, request: Request) -> ApiKey:
        known: ApiKey | None = getattr(request.state, "caller", None)
        if known is None:
            request.state.caller = known = await self._find(request)
        return known

    async def _find(self, request: Request) -> ApiKey:
        secret = presented(request)
        # Looked up even from an address that tried many: others may share it, behind a proxy.
        if secret is not None and (key := await self._store.api_keys.find(secret)) is not None:
            return key
        if await self._store.api_keys.needed() or not is_local(request):
            if secret is None:
                raise NoValidKey("api.key.missing")
            self._spend(self._failed, request.client.host if request.client else "", FAILURES)
            raise NoValidKey("api.key.invalid")
        return LOCAL

    async def still(self, caller: ApiKey) -> None:
        """Raise NoValidKey if a caller who has been waiting may no longer call."""
        keys = self._store.api_keys
        if await (keys.needed() if caller is LOCAL else keys.revoked(caller.id)):
            raise NoValidKey("api.key.invalid")

    def count(self, caller: ApiKey) -> None:
        """Count a request for images. Raises TooManyCalls beyond the key's rate.

        A bucket that holds as many requests as the key may make in a minute, and fills up evenly.
        """
        if caller.rate is not None:
            self._spend(self._spent, caller.id, caller.rate, "api.rate")

    def _spend(
        self,
        spent: dict[str, tuple[float, float]],
        name: str,
        rate: int,
        code: str = "api.key.often",
    ) -> None:
        now = self._clock()
        left, at = spent.get(name, (float(rate), now))
        left = min(float(rate), left + (now - at) * rate / 60)
        if left < 1:
            wait = (1 - left) * 60 / rate
            raise TooManyCalls(code, limit=rate, when=time.time() + wait)
        if len(spent) >= RATES_MAX:
            spent.clear()
        spent[name] = (left - 1, now)


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
            except (binascii.Error, ValueError):
                raise NoValidKey("api.key.invalid") from None
            return password or user
        case _:
            raise NoValidKey("api.key.invalid")


def is_local(request: Request) -> bool:
    """Whether a call comes from this machine, and not through a proxy on it.

    nginx adds no header by itself, but speaks HTTP/1.0 to what is behind it.
    """
    if FORWARDING & set(request.headers) or request.scope["http_version"] == "1.0":
        return False
    return request.client is not None and is_loopback(request.client.host)
