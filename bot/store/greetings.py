"""Which servers were greeted when the bot joined them."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from bot.store.database import Database
from bot.store.jobs import now_ms
from bot.store.settings import put_setting

BEGUN: Final = "greetings begun"
"""The setting that tells that the bot has looked which servers it is in, with when, in ms."""
ADD: Final = "INSERT INTO greetings (guild_id, greeted_at) VALUES (?, ?) ON CONFLICT DO NOTHING"


class Greetings:
    """A server is greeted once, also if the bot leaves and comes back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, guild_id: int) -> bool:
        """Record that a server is greeted now; returns False if it was before."""
        return await self._database.write(
            lambda write: write.execute(ADD, (guild_id, now_ms())).rowcount > 0
        )

    async def missed(self, guild_ids: Collection[int]) -> Sequence[int]:
        """Which of the servers that the bot is in it has joined unnoticed, while it was away.

        None the first time: it may have been in all of them for long, so they count as greeted.
        """
        asked = json.dumps([*guild_ids])

        def look(write: sqlite3.Connection) -> Sequence[int]:
            rows = write.execute(
                "SELECT value FROM json_each(?) AS asked"
                " WHERE NOT EXISTS (SELECT 1 FROM greetings WHERE guild_id = asked.value)",
                (asked,),
            )
            unknown = [int(row["value"]) for row in rows]
            if write.execute("SELECT 1 FROM settings WHERE key = ?", (BEGUN,)).fetchone():
                return unknown
            write.executemany(ADD, [(each, now_ms()) for each in unknown])
            put_setting(write, BEGUN, str(now_ms()))
            return ()

        return await self._database.write(look)
