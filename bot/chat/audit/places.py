"""Where acts are told: the audit channel of a server, or the owners."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import discord

from bot.chat.owners import TOLD_MAX, Owners
from bot.chat.places import may_write, permissions_in
from bot.store import Act, ActKind

if TYPE_CHECKING:
    from discord.abc import MessageableChannel  # which is not there at run time

AuditChannel: TypeAlias = Callable[[str], Awaitable[int | None]]
"""Returns the ID of the channel that a server has chosen for this; None if it has chosen none."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A channel of a server, or the owners if both are None; a server without a channel is one
    that has none any more with the ID that it has chosen."""

    channel: "MessageableChannel | None" = None
    guild: discord.Guild | None = None


OWNERS: Final = Destination()


class Destinations:
    """Finds where an act is told: for a server, in a channel of that very server.

    owners_channel: the ID of the channel for the owners; None for direct messages.
    """

    def __init__(
        self,
        client: discord.Client,
        owners: Owners,
        audit_channel: AuditChannel,
        owners_channel: int | None,
    ) -> None:
        self._client = client
        self._owners = owners
        self._audit_channel = audit_channel
        self._owners_channel = owners_channel

    async def of(self, act: Act) -> Destination | None:
        """Where the act is told; None if there is nobody to tell.

        A report from a server without an audit channel, and one from a direct message, goes to the
        owners, and so does that it is gone.
        """
        if act.community is None:
            return OWNERS
        guild = self._client.get_guild(int(act.community.rpartition(":")[2]))
        chosen = None if guild is None else await self._audit_channel(act.community)
        if guild is not None:
            channel = self._channel_in(guild, chosen, act)
            if channel is not None or (chosen and act.kind is not ActKind.MAINTENANCE):
                return Destination(channel, guild)
        return OWNERS if act.kind in (ActKind.REPORTED, ActKind.REPORT_GONE) else None

    async def routes(
        self, destination: Destination
    ) -> AsyncIterator[Sequence["MessageableChannel"]]:
        """The channels that are told together; the next ones are for when none of them takes it.

        Raises discord.HTTPException.
        """
        if destination.channel is not None:
            yield [destination.channel]
            return
        if destination.guild is not None:
            return
        if self._owners_channel is not None:
            yield [self._client.get_partial_messageable(self._owners_channel)]
        people = await self._owners.all()
        yield [await self._client.create_dm(each) for each in people[:TOLD_MAX]]

    @staticmethod
    def _channel_in(
        guild: discord.Guild, chosen: int | None, act: Act
    ) -> "MessageableChannel | None":
        """The audit channel, even if the bot may not write there any more; for a note to all
        servers, the system channel as well. Never a channel of another server."""
        channel = guild.get_channel(chosen) if chosen else None
        if act.kind is ActKind.MAINTENANCE and not _writable(channel, guild):
            channel = guild.system_channel if _writable(guild.system_channel, guild) else None
        return _with_messages(channel)


def _with_messages(channel: object) -> "MessageableChannel | None":
    is_one = isinstance(channel, discord.abc.Messageable)
    return cast("MessageableChannel", channel) if is_one else None


def _writable(channel: object, guild: discord.Guild) -> bool:
    found = _with_messages(channel)
    return found is not None and may_write(found, permissions_in(found, guild.me))
