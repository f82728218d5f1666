"""Messages to delete on Discord, noted in the transaction that deletes what they show."""

import json
import sqlite3
from collections.abc import Collection
from typing import Final

BY_HAND_MS: Final = 60_000
"""How long the messages of a result are left to whoever deletes it: they may put a notice in the
place of one."""
_KNOWN: Final = (
    "ON CONFLICT (message_id) DO UPDATE SET asked = coalesce(asked, excluded.asked),"
    " due_at = min(due_at, excluded.due_at)"
)


def note_messages(
    write: sqlite3.Connection,
    job_ids: Collection[str],
    *,
    asked: str | None = None,
    due_at: int = 0,
    channels: Collection[int] | None = None,
) -> None:
    """Have the messages that show results of these jobs deleted, with the tokens that reach them.

    asked: ID of the request to forget somebody that waits for it. due_at: not before that time, in
    ms. channels: only those that show a result again, in these.
    """
    values = {
        "jobs": json.dumps(list(job_ids)),
        "asked": asked,
        "due_at": due_at,
        "channels": None if channels is None else json.dumps(list(channels)),
    }
    if channels is None:
        write.execute(
            "INSERT INTO forgotten_messages"  # noqa: S608
            " (message_id, channel_id, asked, reach, token, good_to, due_at)"
            " SELECT message_id, channel_id, :asked,"
            " CASE WHEN hidden THEN 'hidden' WHEN absent THEN 'answer' ELSE 'channel' END,"
            # What was withheld after others had seen its message is in another one by now.
            " iif(withheld IS 'shown', NULL, token), good_to, :due_at"
            " FROM discord_jobs LEFT JOIN tokens USING (job_id)"
            " WHERE job_id IN (SELECT value FROM json_each(:jobs))"
            f" AND message_id IS NOT NULL AND channel_id IS NOT NULL {_KNOWN}",
            values,
        )
    write.execute(
        "INSERT INTO forgotten_messages"  # noqa: S608
        " (message_id, channel_id, asked, reach, token, good_to, due_at)"
        " SELECT message_id, channel_id, :asked, 'channel', NULL, NULL, :due_at FROM sent_again"
        " WHERE job_id IN (SELECT value FROM json_each(:jobs))"
        " AND (:channels IS NULL OR channel_id IN (SELECT value FROM json_each(:channels)))"
        f" {_KNOWN}",
        values,
    )
