"""Where a request comes from on Discord, who makes it, and what they may do elsewhere."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import discord

from bot.chat.client import Interaction
from bot.chat.contexts import Context
from bot.chat.delivery import Delivery
from bot.chat.here import here_of, parent_of
from bot.chat.places import permissions_in, sees
from bot.errors import AnsweredElsewhere, Refused
from bot.progress import Notice
from bot.queue import JobQueue
from bot.request import GenerationRequest, is_gated
from bot.store import Discord, Job, Kind, NewJob
from bot.store.sent_again import Shown
from catalog import Catalog

log = logging.getLogger(__name__)


def can_see(interaction: Interaction, asked: Discord) -> bool:
    """Whether the user can read the channel that something was asked in, wherever they are now."""
    return _permissions_there(interaction, asked).read_messages


def moderates(interaction: Interaction, asked: Discord) -> bool:
    """Whether the user may delete other people's messages in the channel of `asked`.

    What they may do where they use the command does not matter.
    """
    return _permissions_there(interaction, asked).manage_messages


def as_asked_in(interaction: Interaction, asked: Discord, shown: Shown) -> Discord | None:
    """`asked`, as if the result's message was the one that shows it again; None if that is not
    known to be in this server."""
    guild, channel_id = interaction.guild, shown.channel_id
    if guild is None or (
        channel_id != interaction.channel_id and guild.get_channel_or_thread(channel_id) is None
    ):
        return None
    return replace(
        asked,
        guild_id=interaction.guild_id,
        channel_id=channel_id,
        message_id=shown.message_id,
        hidden=False,
    )


def moderates_server(interaction: Interaction) -> bool:
    """Whether the user may delete other people's messages in the whole server, by their roles."""
    member = interaction.user
    if not isinstance(member, discord.Member):
        return False
    return member.guild_permissions.manage_messages


def _permissions_there(interaction: Interaction, asked: Discord) -> discord.Permissions:
    """What the user may do in the channel of `asked`; nothing if they are not known to see it."""
    if asked.guild_id != interaction.guild_id:
        return discord.Permissions.none()
    if asked.guild_id is None:
        # Whoever uses something in direct messages or a group reads them; nobody moderates there.
        there = asked.channel_id == interaction.channel_id
        return discord.Permissions(read_messages=there)
    if asked.channel_id == interaction.channel_id or interaction.permissions.administrator:
        return interaction.permissions
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        return discord.Permissions.none()
    channel = guild.get_channel_or_thread(asked.channel_id or 0)
    found = permissions_in(channel, member)
    return found if sees(channel, found, member.id) else discord.Permissions.none()


def lacks_thread(interaction: Interaction, asked: Discord) -> bool:
    """Whether the user would moderate the private thread of `asked` if they were known to see
    it."""
    guild, member = interaction.guild, interaction.user
    if asked.guild_id != interaction.guild_id or guild is None:
        return False
    thread = guild.get_channel_or_thread(asked.channel_id or 0)
    if not isinstance(thread, discord.Thread) or not isinstance(member, discord.Member):
        return False
    found = permissions_in(thread, member)
    return found.manage_messages and not sees(thread, found, member.id)


def check_may_repeat(job: Job, catalog: Catalog, *, nsfw: bool) -> None:
    """Raise Refused if `job` needs an age-restricted channel and `nsfw` says that this is none.

    The sentence names nothing, because others may see it.
    """
    if not nsfw and (Discord.of(job.origin).age_restricted or is_gated(job.request, catalog)):
        raise Refused("repeat.gated")


def check_here(
    interaction: Interaction,
    check: Callable[[str, frozenset[int], str | None], None],
) -> None:
    """`check` the person where they are, for what the queue may refuse them.

    Where a required role cannot be mentioned, since it is another server's, it is said in words.
    """
    here = here_of(interaction)
    try:
        check(here.place.person, here.place.roles, here.place.community)
    except Refused as error:
        if here.context is Context.SERVER or error.code not in ("queue.role", "queue.roles"):
            raise
        raise Refused("where.role") from error


def roles_of(person: discord.User | discord.Member | None) -> frozenset[int]:
    """Ids of the roles that Discord sent with the event."""
    if not isinstance(person, discord.Member):
        return frozenset()
    return frozenset(role.id for role in person.roles)


def asked_by(
    interaction: Interaction,
    request: GenerationRequest,
    *,
    kind: Kind = "imagine",
    parent: Job | None = None,
    hidden: bool = False,
    spoiler: bool = False,
    warnings: tuple[Notice, ...] = (),
    apart: bool = False,
) -> NewJob:
    """The job that a command or button requests.

    parent: the job it was made from, whose message it replies to. hidden, spoiler: see Discord.
    warnings: what the person should know about the request. apart: whether it is no answer to the
    interaction, but a message of its own.
    """
    shown = Discord.of(parent.origin) if parent else None
    here = shown and shown.channel_id == interaction.channel_id and not shown.hidden
    return NewJob(
        request=request,
        kind=kind,
        origin=Discord(
            user_id=interaction.user.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            locale=here_of(interaction).locale_of(hidden=hidden),
            upload_limit=interaction.filesize_limit,
            interaction_id=None if apart else interaction.id,
            age_restricted=here_of(interaction).nsfw,
            reply_to=shown.message_id if shown and here and not hidden else None,
            hidden=hidden,
            spoiler=spoiler or bool(shown and shown.spoiler),
            absent=here_of(interaction).absent,
            withheld="hidden" if kind == "cell" and shown and shown.withheld else None,
            parent_channel_id=parent_of(interaction.channel),
            token=None if apart else interaction.token,
        ),
        roles=here_of(interaction).place.roles,
        parent_id=parent.id if parent else None,
        warnings=warnings,
    )


async def accept(
    interaction: Interaction, queue: JobQueue, delivery: Delivery, new: NewJob
) -> None:
    """Queue `new`, and answer with its place in line. Raises Refused if a limit is reached."""
    postpone = postponing(interaction, delivery, hidden=Discord.of(new.origin).hidden)
    async with queue.accepting(new, postpone) as ticket:
        await delivery.acknowledge(interaction, ticket)


def postponing(
    interaction: Interaction, delivery: Delivery, *, hidden: bool = False
) -> Callable[[], Awaitable[None]]:
    """A function that tells Discord to wait for the answer, which then may take 15 minutes. It
    does nothing if Discord was told so before."""

    async def postpone() -> None:
        if interaction.response.is_done():
            return
        try:
            await delivery.defer(interaction, hidden=hidden)
        except AnsweredElsewhere:
            # The acknowledgement finds that out, too, and ends the job.
            log.info("interaction %d: cannot postpone its answer", interaction.id)

    return postpone
