"""Copies: noticing that another process answers Discord with the same token.

Discord sends every interaction to all of them, and takes the first answer. The copy that is late is
told that the interaction "has already been acknowledged". So it is when its own first request had
arrived and only the reply was lost, and discord.py has repeated it. What the answer shows decides:
it names the job of the copy that sent it. Where it shows nothing yet, it is ours only if we sent
more than one request.

A copy that was beaten stands by: it waits for the other to answer, and takes only what that leaves
unanswered. As soon as there is something to take, it is the one that serves again.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any, Final

import aiohttp
import discord

from bot.errors import AnsweredElsewhere

log = logging.getLogger(__name__)

TOO_LATE: Final = 10062
"""Discord's error code for an answer after more than three seconds ("unknown interaction"), or to
an interaction that another copy has answered."""
ALREADY_ANSWERED: Final = (40060, TOO_LATE)
"""Error codes with which Discord refuses an answer when there is one (docs,
topics/opcodes-and-status-codes)."""
HOLD = 1.2
"""Seconds that a copy on standby leaves to the other, of the three that Discord allows."""
ALONE = 5.0
"""Seconds for which late answers are no sign of another copy, after one that no other had answered:
where many are late, looking at each would make the rest later still."""
REMEMBERED: Final = 1_000
"""How many interactions' requests are counted at a time."""
SEEN: Final = (
    "another copy of this bot runs with the same token: it has answered an interaction before "
    "this one. This copy now only takes what the other leaves unanswered. Stop one of the two; if "
    "you do not know where the other runs, reset the token"
)
_CALLBACK: Final = re.compile(r"/interactions/(\d+)/[^/]+/callback$")


class Copies:
    """seen: whether another copy was seen, and has since answered whatever it could.

    noticed: set when one is seen for the first time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: returns seconds."""
        self._clock = clock
        self._alone_until = -inf
        self.seen = False
        self.noticed = asyncio.Event()
        self._sent: Counter[int] = Counter()

    def count_in(self, trace: aiohttp.TraceConfig) -> None:
        """Count the requests that answer each interaction, in a session with this `trace`."""
        trace.on_request_start.append(self._count)

    async def _count(
        self, _: aiohttp.ClientSession, __: Any, params: aiohttp.TraceRequestStartParams
    ) -> None:
        if found := _CALLBACK.search(params.url.path):
            self._sent[int(found[1])] += 1
            if len(self._sent) > REMEMBERED:
                del self._sent[next(iter(self._sent))]

    async def check(
        self,
        interaction: discord.Interaction[Any],
        error: Exception,
        ours: Callable[[discord.Message], bool] | None = None,
    ) -> None:
        """Raise AnsweredElsewhere if `error`, of our answer, came because another copy was faster.

        ours: whether a message is the answer that we tried to give; None if that cannot be told.
        """
        if not isinstance(error, discord.HTTPException) or error.code not in ALREADY_ANSWERED:
            return
        if self._clock() < self._alone_until:
            return
        answer = await _answer_to(interaction)
        if answer is None:
            if error.code == TOO_LATE:
                self._alone_until = self._clock() + ALONE
            return
        if ours is None or answer.flags.loading:
            if self._sent[interaction.id] > 1:
                return
        elif ours(answer):
            return
        if not self.seen:
            self.seen = True
            log.critical(SEEN)
            self.noticed.set()
        raise AnsweredElsewhere from error

    async def leave_to_the_other(self, interaction: discord.Interaction[Any]) -> bool:
        """Whether another copy answers `interaction`, which is then none of our business.

        Takes no time unless one was seen.
        """
        if not self.seen or interaction.type is discord.InteractionType.autocomplete:
            return False
        await asyncio.sleep(HOLD)
        if await _answer_to(interaction) is not None:
            return True
        if self.seen:
            self.seen = False
            log.warning("the other copy of this bot has stopped answering; this one serves again")
        return False


async def _answer_to(interaction: discord.Interaction[Any]) -> discord.Message | None:
    """The message that answers it, from any copy; None if there is none, or if unknown."""
    try:
        return await interaction.original_response()
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.debug("interaction %d: no answer found: %s", interaction.id, type(error).__name__)
        return None
