"""Looking for a message that may have been sent by a process that did not live to note it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.store import Discord, Job

LOOK_BACK = timedelta(minutes=10)
"""Clocks differ, and so may a message's time and ours."""
LOOK_AT = 500
"""Messages that are looked at from either end: one of ours is among the latest, or, after a long
absence, among the first since it was sent."""


async def find_message(
    channel: discord.abc.Messageable, job: Job, since: int, me: int | None
) -> int | None:
    """The id of the latest message that shows `job`, sent at `since` (ms) or later, or None.

    Raises what discord.py raises where the channel may not be read.
    """
    about = earliest = datetime.fromtimestamp(since / 1000, UTC) - LOOK_BACK
    interaction_id = Discord.of(job.origin).interaction_id
    if interaction_id is not None:
        # By Discord's own clock: before it there is none.
        earliest = min(about, discord.utils.snowflake_time(interaction_id))
    seen, found = 0, None
    async for message in channel.history(limit=LOOK_AT, after=earliest, oldest_first=False):
        seen += 1
        if _is_ours(message, job, me):
            return message.id
    if seen < LOOK_AT:
        return None
    async for message in channel.history(limit=LOOK_AT, after=about, oldest_first=True):
        if _is_ours(message, job, me):
            found = message.id
    return found


def _is_ours(message: discord.Message, job: Job, me: int | None) -> bool:
    return (me is None or message.author.id == me) and shows(message, job)


def nonce_of(job: Job) -> str:
    """What Discord knows a message of this job by, so that it takes none twice."""
    return str(Discord.of(job.origin).interaction_id or job.id)


def shows(message: discord.Message, job: Job) -> bool:
    """Whether a message of ours is about `job`: by its nonce, its interaction, or its id in it."""
    interaction_id = Discord.of(job.origin).interaction_id
    if interaction_id is not None:
        metadata = message.interaction_metadata
        if metadata is not None and metadata.id == interaction_id:
            return True
    if message.nonce is not None and str(message.nonce) == nonce_of(job):
        return True
    footers = (embed.footer.text or "" for embed in message.embeds)
    if any(job.id in footer.split() for footer in footers):
        return True
    return any(job.id in custom_id.split(":") for custom_id in _custom_ids(message.components))


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
