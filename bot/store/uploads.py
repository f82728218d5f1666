"""Which callers over HTTP have uploaded which input images; see bot.files.inputs."""

import sqlite3
from typing import Final

from bot.store.database import Database
from bot.store.input_paths import INPUT_PATHS
from bot.store.jobs import now_ms

KEPT_MS: Final = 60 * 60 * 1000
"""How long it is remembered who uploaded an image. One that a job uses is its caller's anyway."""

_USED: Final = """
UNION ALL
SELECT 1 FROM jobs JOIN api_jobs ON job_id = id AND key_id = :key
WHERE json_valid(request) AND json_extract(request, '{}') = :sha256
"""
_USABLE: Final = "\n".join(
    (
        "SELECT 1 FROM api_uploads WHERE key_id = :key AND sha256 = :sha256",
        *map(_USED.format, INPUT_PATHS),
        "LIMIT 1",
    )
)


class Uploads:
    """The uploads in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key_id: str, sha256: str, size: int) -> None:
        """size: bytes of the file that is kept."""
        now = now_ms()

        def insert(write: sqlite3.Connection) -> None:
            write.execute("DELETE FROM api_uploads WHERE given_at < ?", (now - KEPT_MS,))
            write.execute(
                "INSERT OR REPLACE INTO api_uploads (key_id, sha256, bytes, given_at)"
                " VALUES (?, ?, ?, ?)",
                (key_id, sha256, size, now),
            )

        await self._database.write(insert)

    async def bytes(self, key_id: str) -> int:
        """What the key has uploaded in the last hour."""
        row = await self._database.row(
            "SELECT coalesce(sum(bytes), 0) AS bytes FROM api_uploads"
            " WHERE key_id = ? AND given_at > ?",
            (key_id, now_ms() - KEPT_MS),
        )
        return int(row["bytes"]) if row else 0

    async def usable(self, key_id: str, sha256: str) -> bool:
        """Whether the key may use an image: it has uploaded it, or has a job made from it.

        Otherwise anyone could find out whether someone else has given an image that they know.
        """
        row = await self._database.row(_USABLE, {"key": key_id, "sha256": sha256})
        return row is not None
