"""The messages on Discord that show jobs, and the tokens that answer for them."""

import aiosqlite

from bot.errors import Refused
from bot.store.database import Database
from bot.store.jobs import Job, now_ms
from bot.store.origins import SELECT_JOBS, InteractionToken


class Messages:
    """Which message shows which job, and how it is reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, job_id: str, channel_id: int, message_id: int) -> None:
        """Remember which message shows the job."""
        async with self._database.transaction() as write:
            await set_message(write, job_id, channel_id, message_id)

    async def job_of(self, message_id: int) -> Job | None:
        row = await self._database.row(f"{SELECT_JOBS} WHERE message_id = ?", (message_id,))
        return Job.from_row(row) if row else None

    async def set_posting(self, job_id: str) -> int | None:
        """Note that a message of its own is about to be sent; when that was first done, if ever."""
        async with self._database.transaction() as write:
            async with write.execute(
                "SELECT posting_at FROM discord_jobs WHERE job_id = ?", (job_id,)
            ) as rows:
                row = await rows.fetchone()
            before: int | None = row["posting_at"] if row else None
            await write.execute(
                "UPDATE discord_jobs SET posting_at = ? WHERE job_id = ? AND posting_at IS NULL",
                (now_ms(), job_id),
            )
        return before

    async def token(self, job_id: str) -> str | None:
        """The token of the interaction that asked for the job, while it is good."""
        row = await self._database.row(
            "SELECT token FROM tokens WHERE job_id = ? AND good_to > ?", (job_id, now_ms())
        )
        return row["token"] if row else None

    async def erase_token(self, job_id: str) -> None:
        """Forget the job's token: its interaction cannot be answered any more."""
        async with self._database.transaction() as write:
            await write.execute("DELETE FROM tokens WHERE job_id = ?", (job_id,))

    async def erase_tokens(self) -> None:
        """Forget the tokens that are of no more use, by age or because their job has ended."""
        async with self._database.transaction() as write:
            await write.execute(
                "DELETE FROM tokens WHERE good_to <= ? OR job_id IN"
                " (SELECT id FROM jobs WHERE state = 'delivered' OR told_at IS NOT NULL)",
                (now_ms(),),
            )


async def set_message(
    write: aiosqlite.Connection, job_id: str, channel_id: int, message_id: int
) -> None:
    """Within a transaction: remember which message shows the job."""
    await write.execute(
        "UPDATE discord_jobs SET channel_id = ?, message_id = ? WHERE job_id = ?",
        (channel_id, message_id, job_id),
    )


async def check_replay(write: aiosqlite.Connection, interaction: InteractionToken) -> None:
    """Raises Refused when that interaction has its job already."""
    async with write.execute(
        "SELECT 1 FROM discord_jobs WHERE interaction_id = ?", (interaction.id,)
    ) as cursor:
        if await cursor.fetchone():
            raise Refused("queue.twice")


async def keep_token(
    write: aiosqlite.Connection, job_id: str, interaction: InteractionToken
) -> None:
    """Within the transaction that accepts the job."""
    await write.execute(
        "INSERT INTO tokens (job_id, token, good_to) VALUES (?, ?, ?)",
        (job_id, interaction.token, interaction.good_to),
    )
