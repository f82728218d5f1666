"""The world on the other side of the wire: everything there is."""

import time

from playground.accounts import Account, TeamMember
from playground.snowflake import Snowflakes
from playground.state import Channel, ChannelType, Guild, JsonObject, Message


class World:
    """Everything that outlives the bot's connections."""

    def __init__(self) -> None:
        self.snowflakes = Snowflakes()
        now = time.time()
        self.bot = Account(self.snowflakes.next(at=now - 30 * 86_400), "Imagen", bot=True)
        self.owner = Account(self.snowflakes.next(at=now - 400 * 86_400), "owner")
        # The team that owns the application, its owner first; empty if one person does.
        self.team: list[TeamMember] = []
        self.accounts: dict[int, Account] = {a.id: a for a in (self.bot, self.owner)}
        self.guilds: dict[int, Guild] = {}
        self.foreign: dict[int, Guild] = {}  # those that the bot is not in
        self.channels: dict[int, Channel] = {}
        # By guild id, None for the global scope; then by command id.
        self.commands: dict[int | None, dict[int, JsonObject]] = {None: {}}
        # Ids that the test deleted on purpose: requesting them is not an error of the bot.
        self.removed: set[int] = set()

    @property
    def application_id(self) -> int:
        return self.bot.id

    def message(self, channel_id: int, message_id: int) -> Message | None:
        """The message, ephemeral ones included, or None."""
        channel = self.channels.get(channel_id)
        return channel.messages.get(message_id) if channel else None

    def visible_commands(self, guild: Guild | None) -> list[JsonObject]:
        """What the command picker offers: the guild's own commands, then the global ones."""
        own = list(self.commands.get(guild.id, {}).values()) if guild else []
        return own + list(self.commands[None].values())

    def private_channel(self, account: Account) -> Channel:
        """The DM channel between the bot and ``account``, created on first use."""
        for channel in self.channels.values():
            if channel.recipient is account:
                return channel
        channel = Channel(self.snowflakes.next(), ChannelType.DM, "", recipient=account)
        self.channels[channel.id] = channel
        return channel

    def forget(self, guild: Guild) -> None:
        """Remove a guild that the bot is no longer in; it keeps its channels."""
        self.guilds.pop(guild.id, None)
        guild.members.pop(self.bot.id, None)
        self.removed.add(guild.id)
        self.removed |= guild.channels.keys()
        self.channels = {n: c for n, c in self.channels.items() if n not in guild.channels}

    def forget_channel(self, channel: Channel) -> None:
        """Remove a channel and its threads."""
        for other in [*self.channels.values()]:
            if other is channel or other.parent is channel:
                self.channels.pop(other.id, None)
                self.removed.add(other.id)
                if other.guild is not None:
                    other.guild.channels.pop(other.id, None)
