"""Results that someone deleted: the images go, the job stays and says so."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database
from bot.store.history.index import remove
from bot.store.jobs import Job, now_ms
from bot.store.removals import BY_HAND_MS, note_messages

BEGIN = (
    "UPDATE jobs SET deleted_at = ?, words = NULL WHERE id = ? AND deleted_at IS NULL"
    " AND state IN ('delivered', 'failed', 'cancelled')"
)


@dataclass(frozen=True, slots=True)
class Moderated:
    """Discord's IDs of who deleted another's result, and of whose it is. locale: of its message."""

    moderator: int
    owner: int
    locale: str


class Deletions:
    """Deletes the images of jobs, in two steps: the files go between them.

    A process that dies there leaves images whose deletion is to be finished.
    """

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def begin(self, job_id: str, *, moderator: str | None = None) -> bool:
        """Note that the images of a job that has ended are deleted, and delete its words; its
        prompt is found no more, and the messages that show it are deleted from BY_HAND_MS on,
        whatever happens until then.

        moderator: who does it to another person's, which is an act. Returns False if there is no
        such job, it has not ended, or someone was faster.
        """
        now = now_ms()

        def begin(write: sqlite3.Connection) -> bool:
            if not write.execute(BEGIN, (now, job_id)).rowcount:
                return False
            remove(write, [job_id])
            note_messages(write, [job_id], due_at=now + BY_HAND_MS)
            if moderator is not None:
                sql = "SELECT person, community FROM jobs WHERE id = ?"
                person, community = write.execute(sql, (job_id,)).fetchone()
                kind, owner = ActKind.RESULT_DELETED, {"owner": person}
                insert_act(write, kind, moderator, community, job_id, owner)
            return True

        begun = await self._database.write(begin)
        if begun and moderator is not None:
            self._acts.recorded()
        return begun

    async def begin_elsewhere(
        self, job: Job, channels: Collection[int], *, moderator: str, community: str | None
    ) -> None:
        """The same for the messages in these channels of a server that show a result again, which
        stays its person's. It is an act."""

        def begin(write: sqlite3.Connection) -> None:
            note_messages(write, [job.id], due_at=now_ms() + BY_HAND_MS, channels=channels)
            kind, owner = ActKind.RESULT_DELETED, {"owner": job.person}
            insert_act(write, kind, moderator, community, job.id, owner)

        await self._database.write(begin)
        self._acts.recorded()

    async def moderated(self, message_id: int) -> Moderated | None:
        """Who deleted the result that the message shows; None if that was its own person, or is not
        known any more."""
        row = await self._database.row(
            "SELECT actor, user_id, locale FROM discord_jobs JOIN jobs ON jobs.id = job_id"
            " JOIN acts ON subject = job_id AND at >= deleted_at"
            " WHERE message_id = ? AND actor NOT IN ('', person)"
            " AND (acts.kind = ?"
            " OR acts.kind = ? AND json_extract(details, '$.decision') = 'deleted')"
            " ORDER BY acts.id LIMIT 1",
            (message_id, ActKind.RESULT_DELETED, ActKind.REPORT_DECIDED),
        )
        if row is None:
            return None
        return Moderated(int(row["actor"].rpartition(":")[2]), row["user_id"], row["locale"])

    async def unfinished(self) -> Sequence[str]:
        """The jobs whose images are deleted but not forgotten."""
        rows = await self._database.rows(
            "SELECT id FROM jobs WHERE deleted_at IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM images WHERE job_id = id)"
        )
        return [row["id"] for row in rows]

    async def finish(self, job_id: str) -> None:
        """Forget the images of a job, whose files are gone."""
        sql = "DELETE FROM images WHERE job_id = ?"
        await self._database.write(lambda write: write.execute(sql, (job_id,)))
