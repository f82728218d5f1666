"""Which Discord messages show which jobs, and the interaction tokens to answer with."""

import sqlite3

from bot.settings.image_check import ImageCheck
from bot.store.database import Database
from bot.store.jobs import Job, now_ms
from bot.store.origins import SELECT_JOBS

SET_MESSAGE = "UPDATE discord_jobs SET channel_id = ?, message_id = ? WHERE job_id = ?"


class Messages:
    """The store's tables for messages and interaction tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, job_id: str, channel_id: int, message_id: int) -> bool:
        """Record which message shows the job; returns False if that is erased."""
        values = (channel_id, message_id, job_id)
        return await self._database.write(
            lambda write: write.execute(SET_MESSAGE, values).rowcount > 0
        )

    async def job_of(self, message_id: int) -> Job | None:
        row = await self._database.row(f"{SELECT_JOBS} WHERE message_id = ?", (message_id,))
        return Job.from_row(row) if row else None

    async def publish(self, job_id: str, message_id: int) -> bool:
        """Record that everyone sees a hidden result, in that message of the same channel.

        Returns False if the result was deleted meanwhile.
        """
        sql = (
            "UPDATE discord_jobs SET hidden = 0, message_id = ? WHERE job_id = ?"
            " AND EXISTS (SELECT 1 FROM jobs WHERE id = job_id AND deleted_at IS NULL)"
        )
        values = (message_id, job_id)
        return await self._database.write(lambda write: write.execute(sql, values).rowcount > 0)

    async def set_shown(self, job_id: str, spoiler: bool, image_check: ImageCheck) -> None:
        """Record how the job's images are to be shown."""
        values = (spoiler, image_check, job_id)
        await self._database.write(
            lambda write: write.execute(
                "UPDATE discord_jobs SET spoiler = ?, image_check = ? WHERE job_id = ?", values
            )
        )

    async def set_posting(self, job_id: str) -> int | None:
        """Record that a separate message is about to be sent.

        Returns when one was first sent before, in milliseconds since the epoch; None if never.
        """

        def note(write: sqlite3.Connection) -> int | None:
            sql = "SELECT posting_at FROM discord_jobs WHERE job_id = ?"
            row = write.execute(sql, (job_id,)).fetchone()
            write.execute(
                "UPDATE discord_jobs SET posting_at = ? WHERE job_id = ? AND posting_at IS NULL",
                (now_ms(), job_id),
            )
            return row["posting_at"] if row else None

        return await self._database.write(note)

    async def token(self, job_id: str) -> str | None:
        """The token of the interaction that asked for the job; None once it has expired."""
        row = await self._database.row(
            "SELECT token FROM tokens WHERE job_id = ? AND good_to > ?", (job_id, now_ms())
        )
        return row["token"] if row else None

    async def erase_token(self, job_id: str) -> None:
        """Delete the job's token: its interaction can no longer be answered."""
        sql = "DELETE FROM tokens WHERE job_id = ?"
        await self._database.write(lambda write: write.execute(sql, (job_id,)))

    async def erase_tokens(self) -> None:
        """Delete the tokens that have expired or whose job is delivered or reported as ended.

        A result that only its token reaches can be taken down for as long as that is valid.
        """

        def erase(write: sqlite3.Connection) -> None:
            write.execute(
                "DELETE FROM tokens WHERE good_to <= ? OR EXISTS (SELECT 1 FROM jobs"
                " WHERE id = job_id AND (state = 'delivered' OR told_at IS NOT NULL)"
                " AND NOT EXISTS (SELECT 1 FROM discord_jobs"
                " WHERE job_id = jobs.id AND (hidden OR absent)))",
                (now_ms(),),
            )
            write.execute(
                "UPDATE forgotten_messages SET token = NULL, good_to = NULL WHERE good_to <= ?",
                (now_ms(),),
            )

        await self._database.write(erase)
