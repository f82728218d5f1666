"""The index of prompts: rows are added and removed within the transactions of their jobs."""

import json
import logging
import sqlite3
from collections.abc import Collection
from typing import Final

from bot.request import GenerationRequest
from bot.store.history.words import columns

log = logging.getLogger(__name__)

A_SECOND: Final = 64
"""Numbers that belong to one second."""

_REMOVE: Final = (
    "INSERT INTO history (history, rowid, prompt, negative, tags) VALUES ('delete', ?, ?, ?, ?)"
)


def add(
    write: sqlite3.Connection,
    job_id: str,
    person: str,
    kind: str,
    created_at: int,
    request: GenerationRequest,
) -> None:
    """created_at: in milliseconds."""
    number = _free(write, created_at)
    write.execute("INSERT INTO history_entries (number, job_id) VALUES (?, ?)", (number, job_id))
    write.execute(
        "INSERT INTO history (rowid, prompt, negative, tags) VALUES (?, ?, ?, ?)",
        (number, *columns(person, kind, request)),
    )


def remove(write: sqlite3.Connection, job_ids: Collection[str]) -> None:
    """Their rows of the table `jobs` must still be there. Those not in the index are passed over.

    What they had is found no more, but stays in the file until the index is merged.
    """
    rows = write.execute(
        "SELECT number, jobs.id, person, kind, request FROM history_entries"
        " JOIN jobs ON jobs.id = job_id"
        " WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(list(job_ids)),),
    ).fetchall()
    for row in rows:
        request = GenerationRequest.from_dict(json.loads(row["request"]))
        write.execute(_REMOVE, (row["number"], *columns(row["person"], row["kind"], request)))
        write.execute("DELETE FROM history_entries WHERE number = ?", (row["number"],))


def first_of(milliseconds: int) -> int:
    """The smallest number of a job of that second."""
    return milliseconds // 1000 * A_SECOND


def _free(write: sqlite3.Connection, created_at: int) -> int:
    """The next number of that second, or of the first that has one left."""
    begin = first_of(created_at)
    while True:
        [last] = write.execute(
            "SELECT max(number) FROM history_entries WHERE number >= ? AND number < ?",
            (begin, begin + A_SECOND),
        ).fetchone()
        if last is None:
            return begin
        if last + 1 < begin + A_SECOND:
            return int(last) + 1
        begin += A_SECOND
