"""ImagenBot: builds the parts in order, loads the cogs, closes in reverse order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn, cast

import aiohttp
import discord
import yarl
from discord.ext import commands

from bot.backoff import Backoff
from bot.chat.commands import CommandTranslator, put_into_words
from bot.chat.delivery import Delivery
from bot.chat.delivery.status import EDIT_INTERVAL
from bot.chat.sync import register_if_changed
from bot.chat.tree import ImagenTree
from bot.chat.ui.buttons import JobButton
from bot.errors import EngineLost, SettingsError, StoreError
from bot.files.housekeeping import Housekeeping
from bot.process.lock import Claims
from bot.process.restart import begin_anew, ended_well, slow_down
from bot.process.signals import at_the_latest, stop_on_signals
from bot.process.watchdog import watched_loop
from bot.settings import DISCORD_API_URL, Settings
from bot.store import JobState
from bot.studio import Studio
from bot.texts.language import Texts
from bot.worker.adoption import KeptOrTold, adopt
from bot.worker.consumer import GpuConsumer, JobObserver
from bot.worker.observers import Observers

log = logging.getLogger(__name__)

REFUSED_LOGIN = (
    "DISCORD_TOKEN: Discord does not accept it; copy it anew from "
    "https://discord.com/developers/applications, page Bot"
)
AUTHENTICATION_FAILED = 4004
"""Gateway close code: the token is not valid any more (docs, topics/opcodes-and-status-codes)."""
CLOSED_WELL = 1000
"""The one close code after which discord.py tries again by itself and does not resume."""
RETRY_AFTER = Backoff(2, 5, 10, 30, 60)
"""Between attempts to reach Discord."""
CANCEL_AGAIN = 0.2
"""Seconds until what was cancelled, and has not ended, is cancelled once more."""
AWAY = (OSError, aiohttp.ClientError, discord.HTTPException, discord.GatewayNotFound)


class ImagenBot(commands.AutoShardedBot):
    """The Discord side. Cogs take the parts they need from its attributes in their `setup`."""

    tree: ImagenTree

    def __init__(
        self, settings: Settings, studio: Studio, texts: Texts, extensions: Sequence[str]
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ImagenTree,
            intents=discord.Intents(guilds=True, guild_messages=True, guild_reactions=True),
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=discord.app_commands.AppCommandContext(guild=True),
            allowed_installs=discord.app_commands.AppInstallationType(guild=True),
            proxy=settings.proxy,
            max_messages=None,
        )
        self.tree.texts = texts
        self.settings = settings
        self.studio = studio
        self.texts = texts
        self.logged_in = asyncio.Event()
        self.delivery = Delivery(
            client=self,
            store=studio.store,
            texts=texts,
            catalog=lambda: studio.catalog.current,
            images_dir=settings.images_dir.absolute(),
            interval=EDIT_INTERVAL,
            job_timeout=settings.job_timeout,
            undeliverable=lambda job: self.observer.failed(job),
            logged_in=self.logged_in.wait,
        )
        self.observer: JobObserver = Observers([KeptOrTold(studio.store, self.delivery)])
        self._extensions_to_load = extensions
        self._warm_up: Callable[[], None] | None = None
        self._consumer: GpuConsumer | None = None

    @property
    def consumer(self) -> GpuConsumer:
        """What drains the queue; it is there before any command can come."""
        assert self._consumer is not None  # noqa: S101
        return self._consumer

    @consumer.setter
    def consumer(self, consumer: GpuConsumer) -> None:
        self._consumer = consumer

    @property
    def draining(self) -> bool:
        """Whether jobs are taken from the queue."""
        return self._consumer is not None and self._consumer.draining

    def when_ready(self, warm_up: Callable[[], None]) -> None:
        """Call `warm_up` once, when the bot is online and nobody waits for it."""
        self._warm_up = warm_up

    async def on_ready(self) -> None:
        # Discord may say so more than once.
        warm_up, self._warm_up = self._warm_up, None
        log.info("online in %d servers", len(self.guilds))
        self.delivery.back()
        if warm_up is not None:
            warm_up()

    async def on_resumed(self) -> None:
        self.delivery.back()

    async def setup_hook(self) -> None:
        await self.tree.set_translator(CommandTranslator(self.texts))
        self.add_dynamic_items(JobButton)
        for extension in self._extensions_to_load:
            await self.load_extension(extension)
        for command in self.tree.walk_commands():
            if isinstance(command, discord.app_commands.Command):
                put_into_words(command, self.texts)

    async def launch_shard(
        self, gateway: yarl.URL, shard_id: int, *, initial: bool = False
    ) -> None:
        """As discord.py's own, which for each refusal calls itself within its `except`: its log
        then grows with the square of them, and at a thousand the stack is full."""
        connect = partial(
            discord.gateway.DiscordWebSocket.from_client,
            self,
            initial=initial,
            gateway=gateway,
            shard_id=shard_id,
        )
        for pause in RETRY_AFTER:
            try:
                socket = await asyncio.wait_for(connect(), self.shard_connect_timeout)
                break
            except discord.ConnectionClosed as closed:
                if closed.code != CLOSED_WELL:
                    raise
                why: Exception = closed
            except Exception as error:
                why = error
            log.warning(
                "shard %d cannot connect (%s); trying again in %d s",
                shard_id,
                type(why).__name__,
                pause,
            )
            await asyncio.sleep(pause)
        own = vars(self)
        shard = discord.shard.Shard(socket, self, own["_AutoShardedClient__queue"].put_nowait)
        own["_AutoShardedClient__shards"][shard_id] = shard
        shard.launch()

    async def on_message(self, message: discord.Message, /) -> None:
        """Messages are not commands here."""


def point_at(api_url: str) -> None:
    """Make discord.py talk to that address; the gateway's is then asked for there."""
    discord.http.Route.BASE = api_url


async def run(settings: Settings, extensions: Sequence[str]) -> None:
    """Serve Discord until SIGINT or SIGTERM.

    Raises SettingsError when Discord refuses the token, StoreError or CatalogError at start, and
    EngineLost when only a fresh process can go on.
    """
    stop = stop_on_signals()
    point_at(settings.api_url)
    texts = Texts.read()
    # A preview between two edits would be seen by nobody.
    preview_interval = EDIT_INTERVAL if settings.preview else None
    async with (
        Studio.open(settings, settings.limits, preview_interval) as studio,
        ImagenBot(settings, studio, texts, extensions) as bot,
        _watched(bot, settings.metrics_port),
        watched_loop(partial(begin_anew, by_itself=settings.restart)),
    ):
        serving = asyncio.create_task(_serve(bot))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()
        serving.cancel()
        await asyncio.wait({serving})
        await ended_well(studio.store)
    log.info("stopped")


@asynccontextmanager
async def _watched(bot: ImagenBot, port: int | None) -> AsyncIterator[None]:
    """Answer for the bot's health and figures at `port`, if there is one."""
    if port is None:
        yield
        return
    # Imported here: most bots do without.
    from bot.metrics import Health, Metrics, exposed, measure_lag

    studio = bot.studio
    metrics = Metrics(
        queue_length=lambda: len(studio.queue.places()),
        outbox_length=lambda: bot.delivery.on_the_way,
        loaded=lambda: studio.engine.loaded,
        latency=lambda: bot.latency,
        gpu_memory=studio.engine.gpu_memory,
    )

    async def connected() -> str | None:
        shards = bot.shards.values()
        up = bot.is_ready() and not any(shard.is_closed() for shard in shards)
        return None if up else "not connected"

    async def stored() -> str | None:
        await studio.store.setting("checked")
        return None

    async def painting() -> str | None:
        return None if bot.draining else "takes no jobs"

    health = Health({"discord": connected, "database": stored, "painting": painting})
    bot.observer = Observers([metrics, bot.observer])
    async with exposed(bot.settings.metrics_host, port, metrics, health):
        measuring = asyncio.create_task(measure_lag(metrics.lagged))
        try:
            yield
        finally:
            measuring.cancel()


async def _serve(bot: ImagenBot) -> None:
    """Paint, and beside it log in and connect, until cancelled."""
    token = bot.settings.token
    if token is None:
        raise SettingsError("DISCORD_TOKEN: not set")
    store = bot.studio.store
    await slow_down(store)
    # Before anything runs: what is *done* now was painted by an earlier run.
    untold = await store.untold("discord")
    _, given_up = await bot.studio.queue.resume("discord")
    painted = await store.jobs_in(JobState.DONE, "discord")
    await adopt(store, bot.studio.queue, Claims(bot.settings.data_dir.absolute()))
    async with bot.studio.consuming(bot.settings, bot.observer) as consumer:
        bot.consumer = consumer
        bot.when_ready(consumer.warm_up)
        beside = asyncio.gather(
            _register(bot),
            bot.delivery.bring((*painted, *untold)),
            *map(bot.observer.failed, given_up),
            _tidy(bot.studio),
            _housekeeping(bot).run(),
        )
        try:
            await _unless_lost(
                consumer,
                _connect(bot, token.get_secret_value()),
                lambda: begin_anew(by_itself=bot.settings.restart),
            )
        except discord.LoginFailure as error:
            raise SettingsError(REFUSED_LOGIN) from error
        except discord.ConnectionClosed as closed:
            if closed.code == AUTHENTICATION_FAILED:
                raise SettingsError(REFUSED_LOGIN) from closed
            raise SettingsError(f"Discord closed the connection for good: {closed}") from closed
        finally:
            beside.cancel()
            try:
                await beside
            except asyncio.CancelledError:
                pass
            except Exception:
                # Not raised: it would hide why the serving ended.
                log.exception("what ran beside the connection failed")


async def _connect(bot: ImagenBot, token: str) -> None:
    """Log in, then stay connected until cancelled. What is painted meanwhile waits for that."""
    await _persistently("log in", lambda: bot.login(token))
    if bot.settings.api_url != DISCORD_API_URL:
        await _persistently("find the gateway", lambda: _find_gateway(bot))
    bot.logged_in.set()
    await bot.delivery.resume(bot.studio.queue.standings())
    await _persistently("connect", bot.connect)


async def _register(bot: ImagenBot) -> None:
    # Beside the connection, not before it: the commands of the last time still work.
    await bot.logged_in.wait()
    await register_if_changed(bot.tree, bot.studio.store, bot.settings.guild_id)


async def _find_gateway(bot: ImagenBot) -> None:
    """Reconnecting after an invalid session, discord.py would go to Discord's own gateway."""
    found = await bot.http.request(discord.http.Route("GET", "/gateway"))
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(found["url"])


async def _tidy(studio: Studio) -> None:
    try:
        await studio.tidy()
    except (StoreError, OSError):
        log.exception("pictures that nobody needs any more could not be deleted")


def _housekeeping(bot: ImagenBot) -> Housekeeping:
    settings = bot.settings
    return Housekeeping(
        bot.studio.store,
        settings.images_dir.absolute(),
        days=settings.keep_days,
        gib=settings.keep_gb,
    )


async def _unless_lost(
    consumer: GpuConsumer, serving: Coroutine[Any, Any, None], anew: Callable[[], NoReturn]
) -> None:
    """Await `serving`. Raises EngineLost as soon as the consumer can paint no more.

    anew: ends this process, should it then not come to its end by itself.
    """
    tasks = [asyncio.create_task(serving), asyncio.create_task(consumer.lost())]
    served, lost = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            at_the_latest(anew)
            raise cast("EngineLost", lost.result())
        await served
    finally:
        # While it reconnects a shard, discord.py takes a cancellation for itself and goes on.
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)


async def _persistently(what: str, action: Callable[[], Awaitable[None]]) -> None:
    """Do `action`, again and again while the network or Discord is away."""
    for pause in RETRY_AFTER:
        try:
            await action()
        except discord.LoginFailure:
            raise
        except AWAY as error:
            log.warning("cannot %s (%s); trying again in %d s", what, type(error).__name__, pause)
            await asyncio.sleep(pause)
        else:
            break
