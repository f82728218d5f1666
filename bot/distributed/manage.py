"""Manage: what an owner does with the workers of a bot, from a terminal beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis import RedisError
from redis.asyncio import Redis

from bot import __version__
from bot.distributed import access, announcement, keys
from bot.distributed.access import AccessError
from bot.distributed.announcement import WIRE, Announcement
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.roster import names_of
from bot.errors import WireError

SCAN: Final = 1_000
"""Keys at once."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker, as it says itself. said: None if it is not to be understood. files: how many it
    has hashed so far; jobs that need others wait."""

    name: str
    said: Announcement | None
    trouble: str
    drained: bool
    files: int = 0


async def listed(broker: Broker) -> list[Seen]:
    """The workers that are there, by name. Raises AccessError."""
    async with _client(broker) as client:
        return [await _seen(client, name) for name in sorted(await names_of(client))]


async def drain(broker: Broker, worker: str, *, drained: bool) -> None:
    """Have it take no more jobs, or take jobs again. Raises AccessError."""
    async with _client(broker) as client:
        if drained:
            await client.set(keys.drained(worker), "1")
        else:
            await client.delete(keys.drained(worker))


async def allow(broker: Broker, worker: str, at: Broker | None = None) -> str:
    """Make a login for it; returns the value of IMAGEN_BROKER there. Raises AccessError.

    at: the broker as the worker reaches it; None: as it is reached here.
    """
    async with _client(broker) as client:
        return (at or broker).url(*await access.allow(client, worker))


async def keeps_logins(broker: Broker) -> bool:
    """Whether the broker has them again after a restart. Raises AccessError."""
    async with _client(broker) as client:
        return await access.save(client)


async def remove(broker: Broker, worker: str) -> bool:
    """Make its login useless and delete all that it has left in the broker; returns whether there
    was a login. Raises AccessError."""
    async with _client(broker) as client:
        removed = await access.remove(client, worker)
        for pattern in keys.of_worker(worker):
            async for key in client.scan_iter(match=pattern, count=SCAN):
                await client.unlink(key)
        return removed


@asynccontextmanager
async def _client(broker: Broker) -> AsyncIterator[Redis]:
    """Yields one for as long as the block lasts. Raises AccessError if the broker fails in it."""
    client = broker.client(Pace())
    try:
        yield client
    except RedisError as error:
        raise _unusable(broker, error) from None
    finally:
        await client.aclose()


async def _seen(client: Redis, name: str) -> Seen:
    drained = bool(await client.exists(keys.drained(name)))
    try:
        data = await client.getrange(keys.announced(name), 0, announcement.JSON_MAX)
        listed = await client.execute_command("STRLEN", keys.files(name))  # type: ignore[no-untyped-call]
    except RedisError as error:
        if not access.is_wrong_type(error):
            raise
        return Seen(name, None, "what it has announced is not of the right type", drained)
    try:
        said = announcement.decode(data)
    except WireError as error:
        return Seen(name, None, str(error), drained)
    if isinstance(said, Announcement) and said.version == __version__:
        return Seen(name, said, "", drained, listed // announcement.DIGEST)
    here = f"{__version__} (wire {WIRE})"
    why = f"version {said.version or '?'} (wire {said.wire}); here it is {here}"
    return Seen(name, None, why, drained)


def _unusable(broker: Broker, error: RedisError) -> AccessError:
    return AccessError(f"the broker at {broker} cannot be used: {type(error).__name__}: {error}")
