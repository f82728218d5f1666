"""Looking for a message that may have been sent by a process that did not live to note it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.store import Job

LOOK_BACK = timedelta(seconds=30)
"""Clocks differ, and so may a message's time and ours."""
LOOK_AT = 500
"""Messages of a channel that are looked at: one of ours is among the first after its time."""


async def find_message(
    channel: discord.abc.Messageable, job: Job, since: int, me: int | None
) -> int | None:
    """The id of the latest message that shows `job`, sent at `since` (ms) or soon after, or None.

    Raises what discord.py raises where the channel may not be read.
    """
    after = datetime.fromtimestamp(since / 1000, UTC) - LOOK_BACK
    found = None
    async for message in channel.history(limit=LOOK_AT, after=after, oldest_first=True):
        if (me is None or message.author.id == me) and shows(message, job):
            found = message.id
    return found


def shows(message: discord.Message, job: Job) -> bool:
    """Whether a message of ours is about `job`: by its nonce, its interaction, or its id in it."""
    if job.interaction_id is not None:
        metadata = message.interaction_metadata
        if metadata is not None and metadata.id == job.interaction_id:
            return True
    if message.nonce is not None and str(message.nonce) == job.nonce:
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
