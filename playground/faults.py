"""Responses that a test requests in advance: failures and rate limits."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from playground.errors import ApiError, Dropped


@dataclass
class Fault:
    """The next ``times`` matching requests get ``error``."""

    method: str
    path: re.Pattern[str]
    error: ApiError
    times: int


@dataclass
class Window:
    """The state of one bucket."""

    limit: int
    length: float
    started: float
    used: int = 0


class Weather(Protocol):
    """Faults that may hit any request. Both methods return None to let it pass."""

    def before(self, method: str, path: str) -> ApiError | None:
        """The error that a request gets instead of being carried out."""

    def after(self, method: str, path: str) -> ApiError | None:
        """The error that a request gets instead of its response, after being carried out."""


class Storm:
    """Random faults, the same ones for the same seed and requests.

    rate: the fraction of requests that get one.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self._chance = random.Random(seed)  # noqa: S311
        self._rate = rate
        self._makers: tuple[Callable[[], ApiError], ...] = (
            Dropped,
            lambda: ApiError(503, 0, "503: Service Unavailable", expected=True),
            lambda: ApiError(500, 0, "500: Internal Server Error", expected=True),
            lambda: rate_limited(0.05, "user", expected=True),
        )

    def before(self, method: str, path: str) -> ApiError | None:
        if self._chance.random() >= self._rate / 2:
            return None
        return self._chance.choice(self._makers)()

    def after(self, method: str, path: str) -> ApiError | None:
        return Dropped() if self._chance.random() < self._rate / 2 else None


class Faults:
    """Faults queued for matching requests, and the rate limit buckets."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lost: list[Fault] = []
        # Discord publishes no numbers. Generous by default, so that tests are not slowed down.
        self._rules: list[tuple[str, re.Pattern[str], int, float]] = [
            ("*", re.compile(".*"), 100, 1.0)
        ]
        self._windows: dict[str, Window] = {}
        self.weather: Weather | None = None

    def drop(self, method: str, path: str, times: int) -> None:
        """Queue a fault that cuts the connection before the request is carried out."""
        self._waiting.append(Fault(method.upper(), re.compile(path), Dropped(), times))

    def fail(
        self, method: str, path: str, status: int, code: int, message: str, times: int
    ) -> None:
        """Queue a plain failure."""
        error = ApiError(status, code, message or f"{status}: requested by the test", expected=True)
        self._waiting.append(Fault(method.upper(), re.compile(path), error, times))

    def lose_answer(self, method: str, path: str, times: int) -> None:
        """Queue a fault that carries the request out and then returns 502."""
        error = ApiError(502, 0, "502: the answer was lost", expected=True)
        self._lost.append(Fault(method.upper(), re.compile(path), error, times))

    def take_lost(self, method: str, path: str) -> ApiError | None:
        """Take the fault queued for the response to this request, if any."""
        asked = self._take(self._lost, method, path)
        return asked or (self.weather.after(method, path) if self.weather else None)

    def rate_limit(
        self, method: str, path: str, retry_after: float, times: int, scope: str
    ) -> None:
        """Queue a 429; ``scope`` is user, shared or global."""
        if scope not in ("user", "shared", "global"):
            raise ValueError(f"scope {scope!r} is unknown; allowed: user, shared, global")
        error = rate_limited(retry_after, scope, expected=True)
        self._waiting.append(Fault(method.upper(), re.compile(path), error, times))

    def take(self, method: str, path: str) -> ApiError | None:
        """Take the fault queued for this request, if any."""
        asked = self._take(self._waiting, method, path)
        return asked or (self.weather.before(method, path) if self.weather else None)

    @staticmethod
    def _take(faults: list[Fault], method: str, path: str) -> ApiError | None:
        for fault in faults:
            if fault.method in ("*", method) and fault.path.search(path):
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
                return fault.error
        return None

    def set_bucket(self, method: str, path: str, limit: int, window: float) -> None:
        """From now on, allow ``limit`` matching requests per ``window`` seconds, separately per
        channel, guild or webhook token."""
        self._rules.insert(0, (method.upper(), re.compile(path), limit, window))

    def spend(self, method: str, path: str) -> tuple[dict[str, str], ApiError | None]:
        """Count one request. Returns the X-RateLimit headers, and a 429 if the bucket is empty."""
        number, (_, _, limit, length) = next(
            (i, rule)
            for i, rule in enumerate(self._rules)
            if rule[0] in ("*", method) and rule[1].search(path)
        )
        parts = path.strip("/").split("/")
        # /webhooks/{id}/{token} has two major parameters, every other route one.
        major = "/".join(parts[: 3 if parts[0] == "webhooks" else 2])
        name = f"{len(self._rules) - number:x}-{method}-{parts[0]}-{len(parts)}"
        now = time.monotonic()
        window = self._windows.get(f"{name} {major}")
        if window is None or now >= window.started + window.length:
            window = self._windows[f"{name} {major}"] = Window(limit, length, now)
        window.used += 1
        after = max(window.started + window.length - now, 0.001)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - window.used, 0)),
            "X-RateLimit-Reset": f"{time.time() + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": name,
        }
        error = rate_limited(after, "user") if window.used > limit else None
        return headers, error


def rate_limited(retry_after: float, scope: str, *, expected: bool = False) -> ApiError:
    """A 429 as in https://docs.discord.com/developers/topics/rate-limits."""
    headers = {"Retry-After": f"{retry_after:.3f}", "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    return ApiError(
        429,
        0,
        "You are being rate limited.",
        expected=expected,
        headers=headers,
        extra={"retry_after": round(retry_after, 3), "global": scope == "global"},
    )
