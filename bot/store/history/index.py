"""The index of prompts: rows are added and removed within the transactions of their jobs."""

import json
import logging
import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from bot.request import GenerationRequest
from bot.store.history.words import Columns, columns, own
from bot.store.jobs import FAULTS

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

    What they had is found no more, but stays in the file until the index is merged. A request that
    cannot be read is removed as well: what it had is then read from the index.
    """
    rows = write.execute(
        "SELECT number, jobs.id, person, kind, request FROM history_entries"
        " JOIN jobs ON jobs.id = job_id"
        " WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(list(job_ids)),),
    ).fetchall()
    had: dict[int, Columns] = {}
    unread: dict[str, list[int]] = {}
    for row in rows:
        if (texts := _of_request(row)) is not None:
            had[row["number"]] = texts
        else:
            unread.setdefault(row["person"], []).append(row["number"])
    for person, numbers in unread.items():
        had |= _of_index(write, person, numbers)
    for number, texts in had.items():
        write.execute(_REMOVE, (number, *texts))
        write.execute("DELETE FROM history_entries WHERE number = ?", (number,))


def _of_request(row: sqlite3.Row) -> Columns | None:
    """What the index was given of a job; None if its request cannot be read."""
    try:
        request = GenerationRequest.from_dict(json.loads(row["request"]))
        return columns(row["person"], row["kind"], request)
    except FAULTS as error:
        # The type only: the message may quote the prompt.
        why = type(error).__name__
        log.warning("job %s: unreadable (%s), so its words are read from the index", row["id"], why)
        return None


def _of_index(write: sqlite3.Connection, person: str, numbers: Sequence[int]) -> dict[int, Columns]:
    """The same of jobs of one person, put together again from the index itself.

    Its words are in the order of the alphabet, so all that this person has there is read.
    """
    found: dict[int, dict[str, list[str]]] = {number: {} for number in numbers}
    first = own(person, "").lower()  # as the tokenizer leaves it
    rows = write.execute(
        "SELECT doc, col, term FROM history_terms WHERE term >= ? AND term < ?"
        " AND doc IN (SELECT value FROM json_each(?)) ORDER BY offset",
        (first, f"{first}\U0010ffff", json.dumps(numbers)),
    )
    for number, column, term in rows:
        found[number].setdefault(column, []).append(term)

    def text(number: int, column: str) -> str:
        return " ".join(found[number].get(column, ()))

    return {
        number: (text(number, "prompt"), text(number, "negative"), text(number, "tags"))
        for number in numbers
    }


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
