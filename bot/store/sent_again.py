"""Messages that show a result once more, in a channel that its person chose."""

from dataclasses import dataclass

from bot.store.database import Database


@dataclass(frozen=True, slots=True)
class Shown:
    """One such message."""

    channel_id: int
    message_id: int


class SentAgain:
    """Which results are shown where else, so that deleting one takes all of them down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job_id: str, shown: Shown) -> bool:
        """Record it. Returns False if the result was deleted meanwhile."""
        sql = (
            "INSERT INTO sent_again (message_id, channel_id, job_id)"
            " SELECT ?, ?, id FROM jobs WHERE id = ? AND deleted_at IS NULL"
            # It is known already after a message that was sent twice, and arrived once.
            " ON CONFLICT (message_id) DO UPDATE SET channel_id = excluded.channel_id"
        )
        values = (shown.message_id, shown.channel_id, job_id)
        return await self._database.write(lambda write: write.execute(sql, values).rowcount > 0)

    async def of(self, job_id: str) -> list[Shown]:
        rows = await self._database.rows(
            "SELECT channel_id, message_id FROM sent_again WHERE job_id = ?", (job_id,)
        )
        return [Shown(row["channel_id"], row["message_id"]) for row in rows]

    async def job_of(self, message_id: int) -> str | None:
        """The id of the job that the message shows."""
        row = await self._database.row(
            "SELECT job_id FROM sent_again WHERE message_id = ?", (message_id,)
        )
        return row["job_id"] if row else None
