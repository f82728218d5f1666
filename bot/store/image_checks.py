"""What the image check objected to, and what became of it."""

import sqlite3

from bot.settings.image_check import ImageCheck
from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database
from bot.store.jobs import Job

_CHANGES = {
    "spoiler": "spoiler = 1",
    "private": (
        "withheld = coalesce(withheld, CASE hidden WHEN 0 THEN 'shown' ELSE 'hidden' END),"
        " hidden = 1"
    ),
}


class ImageChecks:
    """Each decision is recorded as an act, in the same transaction."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def withhold(self, job: Job, mode: ImageCheck, verdict: str) -> None:
        """Record that the job's images are blurred, for its person alone, or for nobody.

        verdict: what the check said. There is one act for a job and what was done, however many
        images or attempts it has.
        """

        def withhold(write: sqlite3.Connection) -> bool:
            if change := _CHANGES.get(mode):
                sql = f"UPDATE discord_jobs SET {change} WHERE job_id = ?"  # noqa: S608
                write.execute(sql, (job.id,))
            sql = (
                "SELECT 1 FROM acts WHERE subject = ? AND kind = ?"
                " AND json_extract(details, '$.image_check') = ?"
            )
            if write.execute(sql, (job.id, ActKind.IMAGE_WITHHELD, mode)).fetchone():
                return False
            details = {"image_check": mode, "verdict": verdict}
            kind = ActKind.IMAGE_WITHHELD
            insert_act(write, kind, job.person, job.community, job.id, details)
            return True

        if await self._database.write(withhold):
            self._acts.recorded()
