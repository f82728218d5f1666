"""The playground: a stand-in for Discord on loopback, and the means to drive it."""

import base64
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from playground import openapi
from playground.cdn import Cdn
from playground.core import Core, Request
from playground.faults import Faults
from playground.gateway import Gateway
from playground.rest.app import PREFIX, Api
from playground.stage import Stage
from playground.state import Attachment, Channel, Message
from playground.waiting import Signal
from playground.world import World


def bot_token(application_id: int) -> str:
    """A token with the format of Discord's: the id, a timestamp, a secret."""
    identity = base64.urlsafe_b64encode(str(application_id).encode()).decode().rstrip("=")
    return f"{identity}.{secrets.token_urlsafe(4)}.{secrets.token_urlsafe(28)}"


class Playground(Stage):
    """Discord on ``127.0.0.1``.

    ``async with Playground() as pg`` starts it; the bot gets ``pg.api_url`` and ``pg.token``.
    ``privileged_intents`` are the intents enabled in the developer portal (none by default: a bot
    that requests more is closed with 4014). The state outlives the bot's process.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        privileged_intents: int = 0,
        shards: int = 1,
        ack_deadline: float = 3.0,
    ) -> None:
        world, signal = World(), Signal()
        self.token = bot_token(world.application_id)
        self.violations: list[str] = []
        self._signal = signal
        gateway = Gateway(world, self.token, signal, self._violate)
        gateway.allowed_privileged = privileged_intents
        gateway.limits.shards = shards
        super().__init__(
            Core(
                world=world,
                signal=signal,
                gateway=gateway,
                openapi=openapi.load(),
                faults=Faults(),
                token=self.token,
                violations=self.violations,
                ack_deadline=ack_deadline,
            )
        )
        self._port = port
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def _violate(self, text: str) -> None:
        self.violations.append(text)
        self._signal.notify()

    # Starting and stopping.

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        Api(self.core).add_to(app.router)
        for place in ("attachments", "ephemeral-attachments"):
            app.router.add_get(f"/{place}/{{tail:.*}}", Cdn(self.core).handle)
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
        """The value for discord.py's ``Route.BASE``."""
        return self.core.base_url + PREFIX

    @property
    def gateway_url(self) -> str:
        """The value for ``DiscordWebSocket.DEFAULT_GATEWAY``, used after an invalid session."""
        return self.gateway.resume_url

    # The bot as seen from here.

    @property
    def online(self) -> bool:
        """Whether all shards of the bot are connected and READY."""
        return self.gateway.online

    async def wait_online(self, timeout: float = 30) -> None:
        """Wait until the bot has identified and READY was sent. Raises TimeoutError."""
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
        """Wait until no set of shards is complete any more. Raises TimeoutError."""
        await self._signal.wait_for(
            lambda: not self.online, timeout, lambda: f"the bot is still online after {timeout:g} s"
        )

    @property
    def commands(self) -> list[str]:
        """The names of all registered commands, of the default guild and global."""
        return [c["name"] for c in self._world.visible_commands(self.guild)]

    async def wait_commands(self, *names: str, timeout: float = 30) -> None:
        """Wait until all the named commands are registered. Raises TimeoutError."""
        await self._signal.wait_for(
            lambda: set(names) <= set(self.commands),
            timeout,
            lambda: f"after {timeout:g} s of {names} only these exist: {self.commands}",
        )

    @property
    def requests(self) -> list[Request]:
        """Every REST request from the bot, in the order of the responses."""
        return self.core.requests

    async def wait_request(self, method: str, path: str, timeout: float = 30) -> Request:
        """Wait for the first request, past ones included, whose path contains ``path``."""
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
        """How many sessions were started."""
        return self.gateway.identifies

    async def wait_for(self, look: Callable[[], object], timeout: float = 30) -> None:
        """Wait until ``look()`` is truthy; it is called again on every change here."""
        await self._signal.wait_for(look, timeout, lambda: f"not so after {timeout:g} s: {look}")

    def messages(self, channel: Channel | None = None) -> list[Message]:
        """The messages of a channel, oldest first, ephemeral ones included."""
        return sorted((channel or self.channel).messages.values(), key=lambda m: m.id)

    async def wait_message(
        self,
        satisfied: Callable[[Message], bool],
        channel: Channel | None = None,
        timeout: float = 60,
    ) -> Message:
        """Wait for the first message that satisfies a condition, in ``channel`` or anywhere.

        Raises TimeoutError.
        """

        def everywhere() -> list[Message]:
            places = [channel] if channel else list(self._world.channels.values())
            return [m for place in places for m in self.messages(place)]

        return await self._signal.wait_for(
            lambda: next((m for m in everywhere() if not m.loading and satisfied(m)), None),
            timeout,
            lambda: f"after {timeout:g} s no such message among the last: {everywhere()[-5:]}",
        )

    async def download(self, attachment: Attachment | str) -> bytes:
        """Download an attachment, or a URL, over HTTP."""
        if self._session is None:
            raise RuntimeError("the playground is not running")
        url = attachment if isinstance(attachment, str) else attachment.url
        async with self._session.get(url) as response:
            response.raise_for_status()
            return await response.read()
