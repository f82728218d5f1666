"""Where a request comes from on Discord, who makes it, and what is allowed there."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import discord

from bot.request import GenerationRequest
from bot.store import Discord, Job, NewJob

log = logging.getLogger(__name__)


def age_restricted(channel: Any) -> bool:
    """Whether the channel, or a thread's parent, is age-restricted. Unknown means no."""
    if isinstance(channel, discord.TextChannel | discord.VoiceChannel | discord.StageChannel):
        return channel.is_nsfw()
    if isinstance(channel, discord.Thread):
        return channel.parent is not None and channel.parent.is_nsfw()
    return False


def moderates(interaction: discord.Interaction[Any]) -> bool:
    """Whether the user may delete other people's messages in the channel."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


def roles_of(person: discord.User | discord.Member | None) -> frozenset[int]:
    """Ids of the roles that Discord sent with the event."""
    if not isinstance(person, discord.Member):
        return frozenset()
    return frozenset(role.id for role in person.roles)


def asked_by(
    interaction: discord.Interaction[Any],
    request: GenerationRequest,
    *,
    parent: Job | None = None,
) -> NewJob:
    """The job that a command or button requests. parent: the job it retries."""
    return NewJob(
        request=request,
        origin=Discord(
            user_id=interaction.user.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            locale=str(interaction.locale),
            upload_limit=interaction.filesize_limit,
            interaction_id=interaction.id,
            token=interaction.token,
        ),
        roles=roles_of(interaction.user),
        parent_id=parent.id if parent else None,
    )


def postponing(interaction: discord.Interaction[Any]) -> Callable[[], Awaitable[None]]:
    """A function that tells Discord to wait for the answer, which then may take 15 minutes."""

    async def postpone() -> None:
        try:
            await interaction.response.defer(thinking=True)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            # The job goes on: its result does not need the answer.
            log.warning("cannot postpone an answer: %s", type(error).__name__)

    return postpone
