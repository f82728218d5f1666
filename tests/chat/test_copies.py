"""What a copy of the bot makes of answers that Discord refuses."""

from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest

from bot.chat.copies import ALONE, TOO_LATE, Copies
from bot.errors import AnsweredElsewhere


def refused(code: int) -> discord.NotFound:
    response = cast("Any", SimpleNamespace(status=404, reason="Not Found"))
    return discord.NotFound(response, {"code": code, "message": "Unknown interaction"})


class Interaction:
    """Answered by another copy, or by none."""

    id = 1

    def __init__(self, *, elsewhere: bool = False) -> None:
        self.elsewhere = elsewhere
        self.looked = 0

    async def original_response(self) -> Any:
        self.looked += 1
        if not self.elsewhere:
            raise refused(10015)
        return SimpleNamespace(flags=SimpleNamespace(loading=False))


async def check(copies: Copies, interaction: Interaction) -> None:
    await copies.check(cast("Any", interaction), refused(TOO_LATE), ours=lambda _: False)


async def test_a_bot_that_is_alone_and_slow_does_not_look_at_every_late_answer() -> None:
    now = 0.0
    copies, late = Copies(clock=lambda: now), Interaction()
    for _ in range(100):
        await check(copies, late)
    assert late.looked == 1
    now = ALONE
    taken = Interaction(elsewhere=True)
    with pytest.raises(AnsweredElsewhere):
        await check(copies, taken)
    assert copies.seen
