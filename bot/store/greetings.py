"""Which servers were greeted when the bot joined them."""

from bot.store.database import Database
from bot.store.jobs import now_ms


class Greetings:
    """A server is greeted once, also if the bot leaves and comes back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, guild_id: int) -> bool:
        """Record that a server is greeted now; returns False if it was before."""
        async with self._database.transaction() as write:
            cursor = await write.execute(
                "INSERT INTO greetings (guild_id, greeted_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (guild_id, now_ms()),
            )
            return cursor.rowcount > 0
