"""Health checks: one for each part of the bot."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that one check may take."""

Check = Callable[[], Awaitable[str | None]]
"""Returns what is wrong, in a few words; None if nothing is."""


class Health:
    """The checks, by name of the part."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    async def report(self) -> dict[str, str]:
        """For each part, `ok` or what is wrong with it. Never raises."""
        words = await asyncio.gather(*map(self._ask, self._checks.values()))
        return dict(zip(self._checks, words, strict=True))

    async def _ask(self, check: Check) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer in {PATIENCE:g} s"
        except Exception as error:
            # The message may contain a path or a secret, which only the log redacts.
            log.warning("a health check failed", exc_info=error)
            return type(error).__name__
