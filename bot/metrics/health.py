"""Whether the bot is well: one question for each of its parts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that one part may take to answer."""

Check = Callable[[], Awaitable[str | None]]
"""What is wrong, in a few words; None when nothing is."""


class Health:
    """The parts by name, each with its check."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    async def report(self) -> dict[str, str]:
        """Of every part, `ok` or what is wrong with it. Never raises."""
        words = await asyncio.gather(*map(self._ask, self._checks.values()))
        return dict(zip(self._checks, words, strict=True))

    async def _ask(self, check: Check) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer in {PATIENCE:g} s"
        except Exception as error:
            # What it says may hold a path or a secret; the log redacts, an answer does not.
            log.warning("a check of the health failed", exc_info=error)
            return type(error).__name__
