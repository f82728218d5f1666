"""The connection to Discord, retried for as long as Discord is unreachable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import aiohttp
import discord
import yarl

from bot.backoff import Backoff
from bot.chat.turns import Turns
from bot.errors import Outgrown, SettingsError

log = logging.getLogger(__name__)

REFUSED_LOGIN = (
    "DISCORD_TOKEN: Discord does not accept it; copy it again from "
    "https://discord.com/developers/applications, page Bot"
)
AUTHENTICATION_FAILED = 4004
"""Gateway close code: the token is invalid (docs, topics/opcodes-and-status-codes)."""
MORE_SHARDS = 4011
"""Gateway close code: a session would handle too many servers for one shard."""
CLOSED_WELL = 1000
"""The one close code after which discord.py reconnects by itself with a new session."""
RETRY_AFTER = Backoff(2, 5, 10, 30, 60)
"""Seconds between attempts to reach Discord."""
CONNECTIONS: Final = 256
"""HTTP connections to Discord at once; further requests wait. discord.py by itself has no limit, so
that a slow Discord would use up the process's open files (1,024 on many systems)."""
RESUMES: Final = 3
"""Attempts at resuming a session before a new one is begun, possibly elsewhere."""
AWAY = (OSError, aiohttp.ClientError, discord.HTTPException, discord.GatewayNotFound)


def point_at(api_url: str) -> None:
    """Make discord.py send its HTTP requests to `api_url`."""
    discord.http.Route.BASE = api_url


async def log_in(client: discord.Client, token: str, *, own_gateway: bool) -> None:
    """Log in, retrying until Discord is reachable.

    own_gateway: whether the API set by `point_at` has a gateway other than Discord's.
    Raises discord.LoginFailure when the token is refused.
    """
    await _persistently("log in", lambda: _log_in_again(client, token))
    if own_gateway:
        await _persistently("find the gateway", lambda: _find_gateway(client))


async def stay_connected(client: discord.Client) -> None:
    """Stay connected until cancelled. Raises discord.ConnectionClosed if closed permanently."""
    await _persistently("connect", client.connect)


def refused_for_good(
    error: discord.LoginFailure | discord.ConnectionClosed,
) -> SettingsError | Outgrown:
    """What it means that Discord refuses the bot: the settings error to show the owner, or that a
    new process is needed."""
    if isinstance(error, discord.ConnectionClosed) and error.code == MORE_SHARDS:
        return Outgrown("Discord asks for more shards than this process began with")
    if isinstance(error, discord.LoginFailure) or error.code == AUTHENTICATION_FAILED:
        return SettingsError(REFUSED_LOGIN)
    return SettingsError(f"Discord closed the connection permanently: {error}")


async def connected(
    client: discord.AutoShardedClient,
    turns: Turns,
    shard_id: int,
    gateway: yarl.URL | None,
    before: discord.gateway.DiscordWebSocket | None = None,
) -> discord.gateway.DiscordWebSocket:
    """A shard's connection, retried until there is one.

    gateway: where to begin a session; None for where discord.py does. before: the connection whose
    session is resumed; a new one is begun if it has none, or if it cannot be reached any more.
    Raises discord.ConnectionClosed if closed permanently.
    """
    resumes = RESUMES if before is not None and before.session_id else 0
    for attempt, pause in enumerate(RETRY_AFTER):
        connect = partial(discord.gateway.DiscordWebSocket.from_client, client, shard_id=shard_id)
        try:
            if before is not None and attempt < resumes:
                connect = partial(
                    connect,
                    gateway=before.gateway,
                    session=before.session_id,
                    sequence=before.sequence,
                    resume=True,
                )
                async with asyncio.timeout(client.shard_connect_timeout):
                    return await connect()
            async with turns.of(shard_id), asyncio.timeout(client.shard_connect_timeout):
                return await connect(gateway=gateway)
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
    raise AssertionError("a backoff has no end")


async def _log_in_again(client: discord.Client, token: str) -> None:
    """Log in once, with the connections of the attempt before.

    discord.py makes a session for each attempt and forgets the last one, whose connector it keeps.
    The session is therefore detached, not closed: that would close the connector, too.
    """
    session: aiohttp.ClientSession | None = vars(client.http)["_HTTPClient__session"] or None
    if session is not None:
        session.detach()
    await client.login(token)


async def _find_gateway(client: discord.Client) -> None:
    """Make the API's gateway the default, which discord.py uses after an invalid session."""
    found = await client.http.request(discord.http.Route("GET", "/gateway"))
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(found["url"])


async def _persistently(what: str, action: Callable[[], Awaitable[None]]) -> None:
    """Retry `action` while the network or Discord is unavailable."""
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
