"""The playground: a stand-in for Discord on loopback, and the hand that drives it."""

import base64
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from playground import messages, openapi, payloads, permissions
from playground.cdn import Cdn
from playground.core import Core, Request
from playground.faults import Faults
from playground.gateway import Gateway
from playground.interactions import Interaction
from playground.rest.app import PREFIX, Api
from playground.state import (
    Account,
    Attachment,
    Channel,
    ChannelType,
    Guild,
    Member,
    Message,
    Overwrite,
    Role,
    World,
)
from playground.user import User
from playground.waiting import Signal


def bot_token(application_id: int) -> str:
    """A token of the shape Discord gives: the id, a time, a secret."""
    identity = base64.urlsafe_b64encode(str(application_id).encode()).decode().rstrip("=")
    return f"{identity}.{secrets.token_urlsafe(4)}.{secrets.token_urlsafe(28)}"


class Playground:
    """Discord on ``127.0.0.1``.

    ``async with Playground() as pg`` starts it; the bot gets ``pg.api_url`` and ``pg.token``.
    ``privileged_intents`` are the intents switched on in the developer portal (none by default:
    the bot that asks for more is closed with 4014). The state outlives the bot's process.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        privileged_intents: int = 0,
        shards: int = 1,
        ack_deadline: float = 3.0,
    ) -> None:
        self._port = port
        self._world = World()
        self.token = bot_token(self._world.application_id)
        self.violations: list[str] = []
        self._signal = Signal()
        self.gateway = Gateway(self._world, self.token, self._signal, self._violate)
        self.gateway.allowed_privileged = privileged_intents
        self.gateway.shards = shards
        self.core = Core(
            world=self._world,
            signal=self._signal,
            gateway=self.gateway,
            openapi=openapi.load(),
            faults=Faults(),
            token=self.token,
            violations=self.violations,
            ack_deadline=ack_deadline,
        )
        self._users: dict[str, User] = {}
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.guild = self.add_guild("playground")
        self.channel = self.add_channel("general")
        self.nsfw_channel = self.add_channel("after-dark", nsfw=True)

    def _violate(self, text: str) -> None:
        self.core.violate(text)

    # Starting and stopping.

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", PREFIX + "/{tail:.*}", Api(self.core).handle)
        app.router.add_get("/attachments/{tail:.*}", Cdn(self.core).handle)
        app.router.add_get("/", self.gateway.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.core.base_url = f"http://127.0.0.1:{port}"
        self.gateway.resume_url = f"ws://127.0.0.1:{port}"
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.gateway.stop()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        """What discord.py's ``Route.BASE`` must be."""
        return self.core.base_url + PREFIX

    @property
    def gateway_url(self) -> str:
        """What ``DiscordWebSocket.DEFAULT_GATEWAY`` must be: used after an invalid session."""
        return self.gateway.resume_url

    # The bot as seen from here.

    @property
    def bot(self) -> Account:
        """The bot's account; its id is the application's too."""
        return self._world.bot

    @property
    def online(self) -> bool:
        """Whether all shards of the bot are connected and READY."""
        return self.gateway.online

    async def wait_online(self, timeout: float = 30) -> None:
        """Until the bot has identified and READY was sent; TimeoutError after."""
        await self._signal.wait_for(
            lambda: self.online,
            timeout,
            lambda: (
                f"the bot did not come online in {timeout:g} s; its last requests: "
                f"{[(r.method, r.path, r.status) for r in self.requests[-5:]]}; "
                f"violations: {self.violations[-3:]}"
            ),
        )

    async def wait_offline(self, timeout: float = 30) -> None:
        """Until no shard set is complete any more."""
        await self._signal.wait_for(
            lambda: not self.online, timeout, lambda: f"the bot is still online after {timeout:g} s"
        )

    @property
    def commands(self) -> list[str]:
        """The names of all registered commands, of the default guild and global."""
        return [c["name"] for c in self._world.visible_commands(self.guild)]

    async def wait_commands(self, *names: str, timeout: float = 30) -> None:
        """Until all the named commands are registered; TimeoutError after."""
        await self._signal.wait_for(
            lambda: set(names) <= set(self.commands),
            timeout,
            lambda: f"after {timeout:g} s of {names} only these exist: {self.commands}",
        )

    @property
    def requests(self) -> list[Request]:
        """Every REST request the bot made, in order of their answers."""
        return self.core.requests

    async def wait_request(self, method: str, path: str, timeout: float = 30) -> Request:
        """The first request, past ones included, whose path contains ``path``."""
        return await self._signal.wait_for(
            lambda: next((r for r in self.requests if r.method == method and path in r.path), None),
            timeout,
            lambda: f"no {method} {path} in {timeout:g} s",
        )

    @property
    def gateway_resumes(self) -> int:
        """How many sessions were resumed."""
        return self.gateway.resumes

    @property
    def gateway_identifies(self) -> int:
        """How many sessions were begun."""
        return self.gateway.identifies

    async def wait_for(self, look: Callable[[], object], timeout: float = 30) -> None:
        """Until ``look()`` is truthy; it is asked again whenever something changed here."""
        await self._signal.wait_for(look, timeout, lambda: f"not so after {timeout:g} s: {look}")

    # The world.

    def add_guild(self, name: str) -> Guild:
        """A new guild with the bot and everyone known in it."""
        world = self._world
        guild = Guild(world.snowflakes.next(), name, world.owner.id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", permissions.everyone())
        world.guilds[guild.id] = guild
        for account in (world.owner, world.bot, *self._users.values()):
            guild.members[account.id] = Member(account, time.time())
        shown = payloads.guild_create(guild, world.bot)
        self.gateway.emit("GUILD_CREATE", shown, guild=guild, intent=1)
        return guild

    def add_channel(self, name: str, guild: Guild | None = None, nsfw: bool = False) -> Channel:
        """A new text channel."""
        home = guild or self.guild
        channel = Channel(
            self._world.snowflakes.next(), ChannelType.TEXT, name, guild=home, nsfw=nsfw
        )
        return self._enter(channel, "CHANNEL_CREATE")

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

    def _enter(self, channel: Channel, event: str) -> Channel:
        if channel.guild is not None:
            channel.guild.channels[channel.id] = channel
        self._world.channels[channel.id] = channel
        shown = payloads.channel(channel)
        self.gateway.emit(event, shown, guild=channel.guild, intent=1, channel=channel)
        return channel

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

    def dm(self, user: User) -> Channel:
        """The private channel between ``user`` and the bot."""
        return self._world.private_channel(user)

    def user(self, name: str) -> User:
        """The person of that name, made at need, a member of every guild."""
        if name not in self._users:
            world = self._world
            identifier = world.snowflakes.next()
            user = User(self.core, identifier, name, self.channel)
            self._users[name] = user
            world.accounts[user.id] = user
            for guild in world.guilds.values():
                guild.members[user.id] = Member(user, time.time())
        return self._users[name]

    def messages(self, channel: Channel | None = None) -> list[Message]:
        """The messages of a channel, oldest first, ephemeral ones included."""
        return sorted((channel or self.channel).messages.values(), key=lambda m: m.id)

    async def wait_message(
        self,
        satisfied: Callable[[Message], bool],
        channel: Channel | None = None,
        timeout: float = 60,
    ) -> Message:
        """The first message that satisfies, in ``channel`` or anywhere; TimeoutError after."""

        def everywhere() -> list[Message]:
            places = [channel] if channel else list(self._world.channels.values())
            return [m for place in places for m in self.messages(place)]

        return await self._signal.wait_for(
            lambda: next((m for m in everywhere() if not m.loading and satisfied(m)), None),
            timeout,
            lambda: f"after {timeout:g} s no such message among the last: {everywhere()[-5:]}",
        )

    async def download(self, attachment: Attachment | str) -> bytes:
        """The bytes of an attachment, or of an address, over HTTP."""
        if self._session is None:
            raise RuntimeError("the playground is not running")
        url = attachment if isinstance(attachment, str) else attachment.url
        async with self._session.get(url) as response:
            response.raise_for_status()
            return await response.read()

    # Faults.

    @property
    def attachment_size_limit(self) -> int:
        """The largest file accepted, in bytes; told to the bot with every interaction."""
        return self.core.attachment_size_limit

    @attachment_size_limit.setter
    def attachment_size_limit(self, size: int) -> None:
        self.core.attachment_size_limit = size

    def drop_gateway(self) -> None:
        """Kill all gateway sockets abruptly; their sessions can be resumed."""
        self.gateway.drop()

    def request_reconnect(self) -> None:
        """Ask the bot to reconnect (op 7)."""
        self.gateway.ask_reconnect()

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Tell the bot that its session is gone (op 9)."""
        self.gateway.invalidate(resumable=resumable)

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int,
        code: int = 0,
        message: str = "",
        times: int = 1,
    ) -> None:
        """Let the next matching requests fail."""
        self.core.faults.fail(method, path_regex, status, code, message, times)

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
        """Every interaction token so far is dead from now on."""
        for interaction in self.core.interactions.values():
            interaction.dead = True

    def deny(self, channel: Channel, *names: str) -> None:
        """Take permissions from the bot in a channel (for a thread: in its parent)."""
        self._overwrite(channel, permissions.bits(*names), deny=True)

    def allow(self, channel: Channel, *names: str) -> None:
        """Give them back."""
        self._overwrite(channel, permissions.bits(*names), deny=False)

    def _overwrite(self, channel: Channel, bits: int, *, deny: bool) -> None:
        place = channel.parent or channel
        if place.guild is None:
            raise ValueError(f"{place!r} is private; permissions are a matter of guild channels")
        mine = next((o for o in place.overwrites if o.id == self.bot.id), None)
        if mine is None:
            mine = Overwrite(self.bot.id, 1)
            place.overwrites.append(mine)
        mine.deny = mine.deny | bits if deny else mine.deny & ~bits
        shown = payloads.channel(place)
        self.gateway.emit("CHANNEL_UPDATE", shown, guild=place.guild, intent=1)

    def delete_message(self, message: Message) -> None:
        """A moderator removes a message."""
        messages.delete(self.core, message, by_test=True)

    def delete_channel(self, channel: Channel) -> None:
        """A moderator removes a channel or thread."""
        thread = channel.type is ChannelType.THREAD
        shown = payloads.channel(channel)
        self._world.forget_channel(channel)
        event = "THREAD_DELETE" if thread else "CHANNEL_DELETE"
        self.gateway.emit(event, shown, guild=channel.guild, intent=1)

    def remove_guild(self, guild: Guild) -> None:
        """The bot is thrown out of a guild."""
        self._world.forget(guild)
        self.gateway.emit("GUILD_DELETE", {"id": str(guild.id)}, guild=guild, intent=1)

    def interactions(self) -> list[Interaction]:
        """Every interaction so far."""
        return list(self.core.interactions.values())
