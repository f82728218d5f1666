"""Keys of callers over HTTP. Only a digest is kept, so a key is shown once, when it is made."""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Final, Self

from bot.store.database import Database, Row
from bot.store.jobs import new_id, now_ms

PREFIX: Final = "imagen_"
"""Of every key, so that people and secret scanners recognise one."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key.

    id: names its person in the queue. rate: requests a minute; daily: images in any 24 hours; None
    for no limit. nsfw: whether it may use entries that are only for age-restricted channels.
    admin: whether it may see and cancel the jobs of other keys. priority: of its jobs; a higher one
    goes first. worker: whether it may fetch the catalog's files, and do nothing else.
    revoked_at: in ms; None if valid.
    """

    id: str
    name: str
    rate: int | None = None
    daily: int | None = None
    nsfw: bool = False
    admin: bool = False
    priority: int = 0
    worker: bool = False
    created_at: int = 0
    revoked_at: int | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            id=row["id"],
            name=row["name"],
            rate=row["rate"],
            daily=row["daily"],
            nsfw=bool(row["nsfw"]),
            admin=bool(row["admin"]),
            priority=row["priority"],
            worker=bool(row["worker"]),
            created_at=row["created_at"],
            revoked_at=row["revoked_at"],
        )


class ApiKeys:
    """The keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        name: str,
        *,
        rate: int | None = None,
        daily: int | None = None,
        nsfw: bool = False,
        admin: bool = False,
        priority: int = 0,
        worker: bool = False,
    ) -> str | None:
        """Make a key and return it; None if a valid key has that name."""
        secret = PREFIX + secrets.token_urlsafe(32)
        limits = (rate, daily, nsfw, admin, priority, worker)
        values = (new_id(), name, _digest(secret), now_ms(), *limits)

        def insert(write: sqlite3.Connection) -> bool:
            try:
                write.execute(
                    "INSERT INTO api_keys (id, name, digest, created_at, rate, daily, nsfw, admin,"
                    " priority, worker) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
            except sqlite3.IntegrityError:
                return False
            return True

        return secret if await self._database.write(insert) else None

    async def revoke(self, name: str) -> bool:
        """Make a key useless at once; returns whether there was a valid one with that name."""
        now = now_ms()
        return await self._database.write(
            lambda write: bool(
                write.execute(
                    "UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
                    (now, name),
                ).rowcount
            )
        )

    async def find(self, secret: str) -> ApiKey | None:
        """The valid key that `secret` is."""
        row = await self._database.row(
            "SELECT * FROM api_keys WHERE digest = ? AND revoked_at IS NULL", (_digest(secret),)
        )
        return ApiKey.from_row(row) if row else None

    async def revoked(self, key_id: str) -> bool:
        """Whether the key with this id has been revoked."""
        sql = "SELECT 1 FROM api_keys WHERE id = ? AND revoked_at IS NOT NULL"
        return await self._database.row(sql, (key_id,)) is not None

    async def nsfw(self, key_id: str) -> bool:
        """Whether that caller may have what is only for age-restricted channels; whoever needs no
        key may."""
        row = await self._database.row("SELECT nsfw FROM api_keys WHERE id = ?", (key_id,))
        return row is None or bool(row["nsfw"])

    async def name(self, key_id: str) -> str | None:
        """The name of the key with this id, also of a revoked one; None if there is none."""
        row = await self._database.row("SELECT name FROM api_keys WHERE id = ?", (key_id,))
        return row["name"] if row else None

    async def all(self) -> list[ApiKey]:
        """Revoked ones too, oldest first."""
        rows = await self._database.rows("SELECT * FROM api_keys ORDER BY created_at, rowid")
        return [ApiKey.from_row(row) for row in rows]

    async def needed(self) -> bool:
        """Whether callers need a key: whether there is a valid one."""
        sql = "SELECT 1 FROM api_keys WHERE revoked_at IS NULL LIMIT 1"
        return await self._database.row(sql) is not None


def _digest(secret: str) -> str:
    # A key has 256 random bits, so a slow hash would protect it no better.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
