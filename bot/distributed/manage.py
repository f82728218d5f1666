"""Manage: what an owner does with the workers of a bot, from a terminal beside it."""

from dataclasses import dataclass

from redis import RedisError
from redis.asyncio import Redis

from bot.distributed import access, announcement, keys
from bot.distributed.access import AccessError
from bot.distributed.announcement import WIRE, Announcement
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.roster import names_of
from bot.errors import WireError


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker, as it says itself. said: None if it is not to be understood."""

    name: str
    said: Announcement | None
    trouble: str
    drained: bool


async def listed(broker: Broker) -> list[Seen]:
    """The workers that are there, by name. Raises AccessError."""

    async def look(client: Redis) -> list[Seen]:
        return [await _seen(client, name) for name in sorted(await names_of(client))]

    client = broker.client(Pace())
    try:
        return await look(client)
    except RedisError as error:
        raise _unusable(broker, error) from None
    finally:
        await client.aclose()


async def drain(broker: Broker, worker: str, *, drained: bool) -> None:
    """Have it take no more jobs, or take jobs again. Raises AccessError."""
    client = broker.client(Pace())
    try:
        if drained:
            await client.set(keys.drained(worker), "1")
        else:
            await client.delete(keys.drained(worker))
    except RedisError as error:
        raise _unusable(broker, error) from None
    finally:
        await client.aclose()


async def allow(broker: Broker, worker: str) -> str:
    """Make a login for it; returns the value of IMAGEN_BROKER there. Raises AccessError."""
    client = broker.client(Pace())
    try:
        return broker.url(*await access.allow(client, worker))
    except RedisError as error:
        raise _unusable(broker, error) from None
    finally:
        await client.aclose()


async def remove(broker: Broker, worker: str) -> bool:
    """Make its login useless; returns whether there was one. Raises AccessError."""
    client = broker.client(Pace())
    try:
        return await access.remove(client, worker)
    except RedisError as error:
        raise _unusable(broker, error) from None
    finally:
        await client.aclose()


async def _seen(client: Redis, name: str) -> Seen:
    drained = bool(await client.exists(keys.drained(name)))
    try:
        data = await client.getrange(keys.announced(name), 0, announcement.JSON_MAX)
    except RedisError as error:
        if not access.is_wrong_type(error):
            raise
        return Seen(name, None, "what it has announced is not of the right type", drained)
    try:
        said = announcement.decode(data)
    except WireError as error:
        return Seen(name, None, str(error), drained)
    if isinstance(said, Announcement):
        return Seen(name, said, "", drained)
    why = f"version {said.version or '?'} (wire {said.wire}; this one has {WIRE})"
    return Seen(name, None, why, drained)


def _unusable(broker: Broker, error: RedisError) -> AccessError:
    return AccessError(f"the broker at {broker} cannot be used: {type(error).__name__}: {error}")
