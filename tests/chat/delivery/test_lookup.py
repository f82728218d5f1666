"""Finding a message again, in a channel where others write too, with clocks that differ."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from discord.utils import time_snowflake

from bot.chat.delivery.lookup import LOOK_AT, find_message, nonce_of
from bot.store import Job
from tests.store.factories import any_job

NOW = 1_900_000_000_000
MINUTE = 60_000


def snowflake(at: int) -> int:
    return time_snowflake(datetime.fromtimestamp(at / 1000, UTC))


class Channel:
    """messages: the time of each and whether it is the right one, oldest first."""

    def __init__(self, *messages: tuple[int, bool], shown: Job) -> None:
        self._messages = [
            SimpleNamespace(
                id=snowflake(at),
                nonce=nonce_of(shown) if ours else None,
                interaction_metadata=None,
                embeds=[],
                components=[],
            )
            for at, ours in messages
        ]

    async def history(
        self, *, limit: int, after: datetime, oldest_first: bool
    ) -> AsyncIterator[Any]:
        later = [m for m in self._messages if m.id > time_snowflake(after, high=True)]
        for message in (later if oldest_first else later[::-1])[:limit]:
            yield message


def asked(at: int | None) -> Job:
    return any_job(interaction_id=None if at is None else snowflake(at))


async def found(job: Job, since: int, *messages: tuple[int, bool]) -> int | None:
    return await find_message(cast("Any", Channel(*messages, shown=job)), job, since, None)


async def test_a_later_try_is_found_behind_many_messages() -> None:
    """Discord was down for an hour after the first attempt, and people kept talking."""
    talk = [(NOW + n * 1000, False) for n in range(LOOK_AT + 50)]
    sent = NOW + (LOOK_AT + 60) * 1000
    assert await found(asked(NOW), NOW, *talk, (sent, True)) == snowflake(sent)


async def test_after_a_long_absence_it_is_found_before_many_messages() -> None:
    talk = [(NOW + n * 1000, False) for n in range(1, LOOK_AT + 50)]
    assert await found(asked(NOW), NOW, (NOW + 500, True), *talk) == snowflake(NOW + 500)


async def test_a_clock_that_is_fast_does_not_hide_it() -> None:
    asked_at = NOW - 30 * MINUTE
    sent = asked_at + 1000
    assert await found(asked(asked_at), NOW, (sent, True)) == snowflake(sent)
    assert await found(asked(None), NOW, (NOW - 5 * MINUTE, True)) == snowflake(NOW - 5 * MINUTE)


async def test_of_two_it_is_the_latest() -> None:
    assert await found(asked(NOW), NOW, (NOW + 1, True), (NOW + 2, True)) == snowflake(NOW + 2)
