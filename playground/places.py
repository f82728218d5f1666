"""The places of the playground: guilds, also ones without the bot, their channels, and groups."""

import time

from playground import payloads, permissions
from playground.accounts import Account, Member, Role
from playground.core import Core
from playground.state import Channel, ChannelType, Guild
from playground.user import User


class Places:
    """The part of the playground that builds guilds and channels."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.gateway = core.gateway
        self._world = core.world
        self._users: dict[str, User] = {}
        self.guild = self.add_guild("playground")
        self.channel = self.add_channel("general")
        self.nsfw_channel = self.add_channel("after-dark", nsfw=True)

    def add_guild(
        self,
        name: str,
        *,
        invited_by: Account | None = None,
        welcome: bool = False,
        trusted: bool = False,
    ) -> Guild:
        """A new guild with the bot and all known users in it.

        invited_by: who added the bot, as its audit log says. welcome: it has a channel for
        Discord's own notices. trusted: the bot may read the audit log.
        """
        world = self._world
        guild = self._guild(name)
        guild.inviter = invited_by
        if trusted:
            guild.roles[guild.id].permissions |= permissions.bits("view_audit_log")
        if welcome:
            channel = Channel(world.snowflakes.next(), ChannelType.TEXT, "welcome", guild=guild)
            guild.channels[channel.id] = world.channels[channel.id] = channel
            guild.system_channel = channel
        self.join(guild)
        return guild

    def join(self, guild: Guild) -> None:
        """Add the bot to a guild, for the first time or again."""
        world = self._world
        world.removed.discard(guild.id)
        world.foreign.pop(guild.id, None)
        world.guilds[guild.id] = guild
        guild.members[world.bot.id] = Member(world.bot, time.time())
        for channel in guild.channels.values():
            world.channels[channel.id] = channel
            world.removed.discard(channel.id)
        shown = payloads.guild_create(guild, world.bot)
        # Its absence distinguishes a new guild from one that became available again.
        del shown["unavailable"]
        self.gateway.emit("GUILD_CREATE", shown, guild=guild, intent=1)

    def add_foreign_guild(self, name: str) -> Guild:
        """A new guild with all known users in it, but not the bot: only those who have installed
        the app for themselves can use it there."""
        guild = self._guild(name)
        self._world.foreign[guild.id] = guild
        return guild

    def _guild(self, name: str) -> Guild:
        world = self._world
        guild = Guild(world.snowflakes.next(), name, world.owner.id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", permissions.everyone())
        for account in (world.owner, *self._users.values()):
            guild.members[account.id] = Member(account, time.time())
        return guild

    def add_group(self, *people: Account) -> Channel:
        """A new group of these users, without the bot."""
        name = ", ".join(person.name for person in people)
        group = Channel(self._world.snowflakes.next(), ChannelType.GROUP, name)
        group.people, group.owner_id = [*people], people[0].id
        self._world.channels[group.id] = group
        self.core.signal.notify()
        return group

    def install(self, user: Account, *, installed: bool = True) -> None:
        """Let ``user`` install the app for themselves, or remove it."""
        user.installed = installed
        self.core.signal.notify()

    def add_channel(
        self,
        name: str,
        guild: Guild | None = None,
        nsfw: bool = False,
        kind: ChannelType = ChannelType.TEXT,
    ) -> Channel:
        """A new channel of a guild: a text, announcement, voice or stage channel, or a forum."""
        home = guild or self.guild
        channel = Channel(self._world.snowflakes.next(), kind, name, guild=home, nsfw=nsfw)
        return self._enter(channel, "CHANNEL_CREATE")

    def _enter(self, channel: Channel, event: str) -> Channel:
        if channel.guild is not None:
            channel.guild.channels[channel.id] = channel
        self._world.channels[channel.id] = channel
        shown = payloads.channel(channel)
        self.gateway.emit(event, shown, guild=channel.guild, intent=1, channel=channel)
        return channel

    def set_slowmode(self, channel: Channel, seconds: int) -> None:
        """Make users wait between two messages."""
        channel.slowmode = seconds
        shown = payloads.channel(channel)
        self.gateway.emit("CHANNEL_UPDATE", shown, guild=channel.guild, intent=1, channel=channel)
