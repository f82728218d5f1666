"""Finding a message that an earlier process may have sent and died before recording."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.store import Discord, Job

LOOK_BACK = timedelta(minutes=10)
"""Allows for our clock running ahead of Discord's."""
LOOK_AT = 500
"""Messages read from either end: ours is among the latest or, after a long outage, among the first
since it was sent."""


async def find_message(
    channel: discord.abc.Messageable, job: Job, since: int, me: int | None
) -> int | None:
    """The id of the latest message about `job`, sent at `since` (ms) or later; None if not found.

    Raises what discord.py raises when the channel cannot be read.
    """
    about = earliest = datetime.fromtimestamp(since / 1000, UTC) - LOOK_BACK
    interaction_id = Discord.of(job.origin).interaction_id
    if interaction_id is not None:
        # By Discord's own clock: there is no message from before the interaction.
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
    """The nonce of this job's messages, by which Discord drops duplicates."""
    return str(Discord.of(job.origin).interaction_id or job.id)


def shows(message: discord.Message, job: Job) -> bool:
    """Whether our message is about `job`: by its interaction, its nonce, or the job id in it."""
    interaction_id = Discord.of(job.origin).interaction_id
    if interaction_id is not None:
        metadata = message.interaction_metadata
        if metadata is not None and metadata.id == interaction_id:
            return True
    if message.nonce is not None and str(message.nonce) == nonce_of(job):
        return True
    return names(message, job)


def names(message: discord.Message, job: Job) -> bool:
    """Whether a message has the job's id in it, which no other copy of the bot knows."""
    footers = (embed.footer.text or "" for embed in message.embeds)
    if any(job.id in footer.split() for footer in footers):
        return True
    return any(job.id in custom_id.split(":") for custom_id in _custom_ids(message.components))


def _custom_ids(components: Any) -> Iterator[str]:
    for component in components:
        if custom_id := getattr(component, "custom_id", None):
            yield custom_id
        yield from _custom_ids(getattr(component, "children", ()))
