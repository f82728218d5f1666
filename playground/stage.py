"""What a test sets up: guilds, channels, users, permissions and faults."""

import time

from playground import messages, payloads, permissions, threads
from playground.accounts import Account, Member, Overwrite, Role, TeamMember
from playground.faults import Weather
from playground.places import Places
from playground.state import Channel, ChannelType, Guild, InteractionState, Message
from playground.user import User


class Stage(Places):
    """The part of the playground that changes the world and injects faults."""

    @property
    def bot(self) -> Account:
        """The bot's account; its id is also the application's."""
        return self._world.bot

    # The world.

    def add_thread(self, channel: Channel, name: str) -> Channel:
        """A new public thread in ``channel``."""
        thread = Channel(
            self._world.snowflakes.next(),
            ChannelType.THREAD,
            name,
            guild=channel.guild,
            parent=channel,
            owner_id=self._world.owner.id,
        )
        return self._enter(thread, "THREAD_CREATE")

    def add_forum(self, name: str, guild: Guild | None = None) -> Channel:
        """A new forum; only its posts hold messages."""
        return self.add_channel(name, guild, kind=ChannelType.FORUM)

    def say(self, author: Account, channel: Channel, text: str) -> Message:
        """A message of somebody whose client is not driven, like the server's owner."""
        return messages.new(self.core, channel, author, {"content": text}, {})

    def add_post(
        self, forum: Channel, title: str, text: str, *, author: Account | None = None
    ) -> Message:
        """A new post of ``author`` (the owner by default): a thread, and its first message, which
        has the same id."""
        writer = author or self._world.owner
        post = Channel(
            self._world.snowflakes.next(),
            ChannelType.THREAD,
            title,
            guild=forum.guild,
            parent=forum,
            owner_id=writer.id,
        )
        self._enter(post, "THREAD_CREATE")
        return messages.new(self.core, post, writer, {"content": text}, {}, identifier=post.id)

    def archive(self, thread: Channel, *, archived: bool = True) -> None:
        """Archive a thread or post, as happens after some days of silence, or open it again."""
        threads.set_state(self.core, thread, archived=archived, locked=thread.locked)

    def lock(self, thread: Channel, *, locked: bool = True) -> None:
        """Lock or unlock a thread or post, as a moderator would."""
        threads.set_state(self.core, thread, archived=thread.archived, locked=locked)

    def add_role(
        self, name: str, *grants: str, guild: Guild | None = None, mentionable: bool = False
    ) -> Role:
        """A new role that grants the named permissions."""
        home = guild or self.guild
        role = Role(
            self._world.snowflakes.next(),
            name,
            permissions.bits(*grants),
            position=len(home.roles),
            mentionable=mentionable,
        )
        home.roles[role.id] = role
        shown = {"guild_id": str(home.id), "role": payloads.role(role)}
        self.gateway.emit("GUILD_ROLE_CREATE", shown, guild=home, intent=1)
        return role

    def give_role(self, account: Account, role: Role) -> None:
        """Put ``account`` into ``role``."""
        for guild in self._world.guilds.values():
            if role.id in guild.roles:
                guild.members[account.id].role_ids.append(role.id)

    def set_age_restricted(self, channel: Channel, restricted: bool) -> None:
        """Turn a channel's age restriction on or off."""
        channel.nsfw = restricted
        shown = payloads.channel(channel)
        self.gateway.emit("CHANNEL_UPDATE", shown, guild=channel.guild, intent=1, channel=channel)

    def set_team(self, *members: TeamMember) -> None:
        """Give the application to a team, whose owner is the first; with none, to ``owner``."""
        self._world.team = list(members)

    def set_system_channel(self, channel: Channel) -> None:
        """Make a channel that of its guild's system messages."""
        guild = channel.guild
        if guild is None:
            raise ValueError(f"{channel!r} is a DM; only a guild has a system channel")
        guild.system_channel = channel
        self.gateway.emit("GUILD_UPDATE", payloads.guild(guild), guild=guild, intent=1)

    def time_out(self, user: User, seconds: float = 600.0) -> None:
        """Put ``user`` in a timeout in every guild; 0 ends it."""
        for guild in self._world.guilds.values():
            guild.members[user.id].timed_out_until = time.time() + seconds if seconds else None

    def dm(self, user: User) -> Channel:
        """The DM channel between ``user`` and the bot."""
        return self._world.private_channel(user)

    def user(self, name: str, locale: str = "en-US") -> User:
        """The user of that name, created on first use, a member of every guild."""
        if name not in self._users:
            world = self._world
            identifier = world.snowflakes.next()
            user = User(self.core, identifier, name, self.channel)
            user.locale = locale
            self._users[name] = user
            world.accounts[user.id] = user
            for guild in (*world.guilds.values(), *world.foreign.values()):
                guild.members[user.id] = Member(user, time.time())
        return self._users[name]

    # Faults.

    @property
    def attachment_size_limit(self) -> int:
        """The largest file accepted, in bytes; sent to the bot with every interaction."""
        return self.core.attachment_size_limit

    @attachment_size_limit.setter
    def attachment_size_limit(self, size: int) -> None:
        self.core.attachment_size_limit = size

    @property
    def ack_deadline(self) -> float:
        """Seconds the bot has to acknowledge an interaction; Discord gives 3."""
        return self.core.ack_deadline

    @ack_deadline.setter
    def ack_deadline(self, seconds: float) -> None:
        self.core.ack_deadline = seconds

    def drop_gateway(self, shard: int | None = None) -> None:
        """Kill the gateway socket of one shard, or all, abruptly; sessions can be resumed."""
        self.gateway.drop(shard)

    def repeat_events(self, count: int) -> None:
        """Send every session its last ``count`` events again, as a resumed connection may."""
        for session in self.gateway.sessions.values():
            if session.connection is not None:
                for payload in list(session.events)[-count:]:
                    session.connection.send(payload)

    def request_reconnect(self, shard: int | None = None) -> None:
        """Ask one shard, or all, to reconnect (op 7)."""
        self.gateway.ask_reconnect(shard)

    def invalidate_session(self, shard: int | None = None, *, resumable: bool = False) -> None:
        """Tell one shard, or all, that its session is gone (op 9)."""
        self.gateway.invalidate(shard, resumable=resumable)

    def require_shards(self, count: int) -> None:
        """From now on, refuse whoever identifies with fewer (4011), and recommend so many."""
        self.gateway.limits.shards, self.gateway.limits.required = count, True

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int,
        code: int = 0,
        message: str = "",
        times: int = 1,
    ) -> None:
        """Make the next matching requests fail."""
        self.core.faults.fail(method, path_regex, status, code, message, times)

    def lose_answer_next(self, method: str, path_regex: str, times: int = 1) -> None:
        """Carry out the next matching requests, but return 502 as if the response was lost."""
        self.core.faults.lose_answer(method, path_regex, times)

    def drop_next(self, method: str, path_regex: str, times: int = 1) -> None:
        """Cut the connection of the next matching requests, without carrying them out."""
        self.core.faults.drop(method, path_regex, times)

    def set_weather(self, weather: Weather | None) -> None:
        """Let ``weather`` decide what happens to each request from now on; None stops that."""
        self.core.faults.weather = weather

    def hold_answers(self, *, held: bool = True) -> None:
        """From now on, carry out requests without answering them, as when Discord is slow; False
        answers them all."""
        answering = self.core.answering
        answering.clear() if held else answering.set()

    @property
    def held(self) -> int:
        """How many requests of the bot wait for an answer."""
        return self.core.held

    def forget_nonces(self) -> None:
        """As if much time had passed: nonces no longer prevent duplicate messages."""
        self.core.nonce_memory = 0.0

    def refuse_gateway_next(self, times: int = 1) -> None:
        """Answer the next gateway handshakes with 503."""
        self.gateway.refusals += times

    def silence_gateway(self, *, silent: bool = True) -> None:
        """From now on, accept gateway connections without sending HELLO; False restores it."""
        self.gateway.silent = silent

    def close_direct_messages(self, user: User) -> None:
        """Make ``user`` stop accepting direct messages from the bot."""
        user.takes_direct_messages = False

    def rate_limit_next(
        self,
        method: str,
        path_regex: str,
        retry_after: float = 0.3,
        times: int = 1,
        scope: str = "user",
    ) -> None:
        """Answer the next matching requests with 429."""
        self.core.faults.rate_limit(method, path_regex, retry_after, times, scope)

    def set_bucket(self, method: str, path_regex: str, limit: int, window: float) -> None:
        """Give matching requests a real bucket: ``limit`` per ``window`` seconds."""
        self.core.faults.set_bucket(method, path_regex, limit, window)

    def expire_interactions(self) -> None:
        """Invalidate all interaction tokens issued so far."""
        for interaction in self.core.interactions.values():
            interaction.dead = True

    def deny(self, channel: Channel, *names: str, account: Account | None = None) -> None:
        """Take permissions from the bot (or ``account``) in a channel; for a thread, its parent."""
        self._overwrite(channel, permissions.bits(*names), account or self.bot, deny=True)

    def allow(self, channel: Channel, *names: str, account: Account | None = None) -> None:
        """Give them back."""
        self._overwrite(channel, permissions.bits(*names), account or self.bot, deny=False)

    def grant(self, channel: Channel, *names: str, account: Account) -> None:
        """Give ``account`` permissions in a channel that its roles do not have."""
        self._overwrite(channel, permissions.bits(*names), account, deny=False, grant=True)

    def _overwrite(
        self, channel: Channel, bits: int, account: Account, *, deny: bool, grant: bool = False
    ) -> None:
        place = channel.parent or channel
        if place.guild is None:
            raise ValueError(f"{place!r} is a DM; only guild channels have permissions")
        mine = next((o for o in place.overwrites if o.id == account.id), None)
        if mine is None:
            mine = Overwrite(account.id, 1)
            place.overwrites.append(mine)
        mine.deny = mine.deny | bits if deny else mine.deny & ~bits
        mine.allow = mine.allow | bits if grant else mine.allow & ~bits
        shown = payloads.channel(place)
        self.gateway.emit("CHANNEL_UPDATE", shown, guild=place.guild, intent=1)

    def delete_message(self, message: Message) -> None:
        """Delete a message, as a moderator would."""
        messages.delete(self.core, message, by_test=True)

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel or thread, as a moderator would."""
        thread = channel.type is ChannelType.THREAD
        shown = payloads.channel(channel)
        self._world.forget_channel(channel)
        event = "THREAD_DELETE" if thread else "CHANNEL_DELETE"
        self.gateway.emit(event, shown, guild=channel.guild, intent=1)

    def remove_guild(self, guild: Guild) -> None:
        """Remove the bot from a guild."""
        self._world.forget(guild)
        self.gateway.emit("GUILD_DELETE", {"id": str(guild.id)}, guild=guild, intent=1)

    def interactions(self) -> list[InteractionState]:
        """Every interaction so far."""
        return list(self.core.interactions.values())
