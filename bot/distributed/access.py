"""Access: logins of the broker that are good for one worker and nothing else.

With such a login, whoever has a worker's machine can read and write what concerns that worker, and
no other's jobs, orders or results. It needs Redis 7 or Valkey, which know what may only be read.
"""

import secrets
from typing import Final

from redis import RedisError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bot.distributed import keys
from bot.errors import ImagenError

COMMANDS: Final = (
    # what SAQ's worker does
    *("blmove", "get", "mget", "set", "setex", "del", "publish", "psubscribe", "subscribe"),
    *("lrem", "llen", "rpush", "zadd", "zrem", "zremrangebyscore", "expire", "multi", "exec"),
    *("getrange", "unsubscribe", "punsubscribe", "info"),
    # what every client says
    *("auth", "hello", "ping", "select", "client|setname", "reset", "discard"),
)
OWN_COMMANDS: Final = ("set", "get", "getrange", "setrange", "strlen", "expire")
"""What its device and its announcements need. Their keys have no other type than strings, or
whoever reads them would get an error instead."""
PREFIX: Final = "imagen-worker-"
"""What precedes a worker's name in that of its login."""


class AccessError(ImagenError):
    """The broker does not do it; the text says why."""


def rules(worker: str, password: str) -> list[str]:
    """What ACL SETUSER is given for a worker."""
    own = (f"~{keys.announced(worker)}", f"~{keys.files(worker)}", f"~imagen:{worker}.*")
    saq = (f"saq:{worker}.*", f"saq:job:{worker}.*", f"saq:abort:{worker}.*")
    return [
        "reset",
        "on",
        f">{password}",
        *(f"~{pattern}" for pattern in saq),
        f"&saq:job:{worker}.*",
        *(f"+{command}" for command in COMMANDS),
        f"({' '.join((*own, *(f'+{command}' for command in OWN_COMMANDS)))})",
    ]


async def allow(client: Redis, worker: str) -> tuple[str, str]:
    """Make a login for `worker`, in place of an earlier one; returns its name and password.

    It is gone when the broker is started again, unless that keeps its ACL in a file, which is
    written then. Raises AccessError.
    """
    password, login = secrets.token_urlsafe(24), f"{PREFIX}{worker}"
    try:
        await _acl(client, "SETUSER", login, *rules(worker, password))
    except ResponseError as error:
        raise AccessError(f"the broker makes no login: {error}") from None
    await save(client)
    return login, password


async def remove(client: Redis, worker: str) -> bool:
    """Delete its login, which ends its connections; returns whether there was one."""
    deleted = await _acl(client, "DELUSER", f"{PREFIX}{worker}")
    await save(client)
    return deleted != 0


def is_wrong_type(error: RedisError) -> bool:
    """Whether a key has not the type that it should have. The broker is as good as ever: only
    whoever wrote the key is not."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


async def save(client: Redis) -> bool:
    """Whether the logins last beyond a restart of the broker: whether it has a file for them."""
    try:
        await _acl(client, "SAVE")
    except ResponseError:
        return False
    return True


async def _acl(client: Redis, *arguments: str) -> object:
    return await client.execute_command("ACL", *arguments)  # type: ignore[no-untyped-call]
