"""Erases rows of people; each function runs within a write transaction."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bot.store.acts import ActKind, insert_act
from bot.store.history.index import remove
from bot.store.jobs import UNREADABLE
from bot.store.origins import Forgotten
from bot.store.personal.span import Span
from bot.store.removals import note_messages

NOBODY: Final = ""
"""Stands for a person who was forgotten, where a row says who did something."""
_NOTHING: Final = json.dumps(replace(UNREADABLE, prompt="-").to_dict(), sort_keys=True)
"""The request of a job of which nothing is left but that others refer to it."""
_OF_JOBS: Final = (
    *("images", "discord_jobs", "api_jobs", "tokens"),
    *("favourites", "reports", "sent_again", "quota_resets"),
)
"""Tables with a row for a job in the column `job_id`."""
_THESE: Final = "(SELECT value FROM json_each(:jobs))"


def erase_jobs(
    write: sqlite3.Connection,
    job_ids: Sequence[str],
    inputs: Sequence[str],
    *,
    messages: bool,
    asked: str | None = None,
) -> None:
    """Delete the jobs and all that belongs to them; their files are gone.

    One that the job of another was made from is reduced to its ID. inputs: sha256 of their input
    images, which are to be deleted unless someone else has given the same. messages: whether those
    with the results are to be deleted as well, and with them the tokens kept that reach them.
    asked: ID of the request to forget them, which waits for that.
    """
    jobs = {"jobs": json.dumps(list(job_ids))}
    remove(write, job_ids)
    write.execute(
        "INSERT OR IGNORE INTO forgotten_inputs (sha256) SELECT value FROM json_each(?)",
        (json.dumps(list(inputs)),),
    )
    if messages:
        note_messages(write, job_ids, asked=asked)
    _tell_of_reports(write, f"job_id IN {_THESE}", jobs)
    for table in _OF_JOBS:
        write.execute(f"DELETE FROM {table} WHERE job_id IN {_THESE}", jobs)  # noqa: S608
    write.execute(
        f"UPDATE jobs SET origin = :origin, kind = 'imagine', state = 'cancelled',"  # noqa: S608
        " attempt = 0, crashes = 0, own_crashes = 0, lost_to = NULL, parent_id = NULL,"
        " request = :request, person = :nobody, community = NULL, priority = 0, passed = 0,"
        " due_at = NULL, created_at = 0, started_at = NULL, finished_at = 0, delivered_at = NULL,"
        " told_at = 0, error = NULL, recipe = NULL, warnings = '[]', boot = NULL,"
        " painted_at = NULL, deleted_at = 0, lane = NULL, isolated = 0, memory_above = 0,"
        " deaths = 0, given_back = 0, words = NULL"
        f" WHERE id IN {_THESE} AND EXISTS"
        " (SELECT 1 FROM jobs AS made INDEXED BY jobs_by_parent WHERE made.parent_id = jobs.id)",
        {**jobs, "origin": Forgotten.name, "request": _NOTHING, "nobody": NOBODY},
    )
    write.execute(
        f"DELETE FROM jobs WHERE id IN {_THESE} AND person != :nobody",  # noqa: S608
        {**jobs, "nobody": NOBODY},
    )


def _tell_of_reports(
    write: sqlite3.Connection, which: str, values: Mapping[str, str | int | None]
) -> None:
    """Whoever was to decide an open report is told that it is gone. which: SQL of a condition."""
    rows = write.execute(
        "SELECT (SELECT community FROM acts WHERE subject = job_id AND kind = 'reported'"  # noqa: S608
        " AND json_extract(details, '$.report') = reports.id)"
        f" FROM reports WHERE decision IS NULL AND {which}",
        values,
    ).fetchall()
    for (community,) in rows:
        insert_act(write, ActKind.REPORT_GONE, NOBODY, community, None, {})


def erase_remnants(write: sqlite3.Connection) -> None:
    """Delete reduced jobs that nothing refers to any more."""
    write.execute(
        "DELETE FROM jobs WHERE person = ? AND NOT EXISTS"
        " (SELECT 1 FROM jobs AS made INDEXED BY jobs_by_parent WHERE made.parent_id = jobs.id)",
        (NOBODY,),
    )


def erase_rest(write: sqlite3.Connection, person: str, span: Span, *, hand_over: bool) -> None:
    """Delete all of a person that belongs to no job, but not that they are blocked.

    hand_over: whether presets shared with a server stay there, without a name. What has no time is
    deleted with a span that goes back to the beginning.
    """
    values: dict[str, str | int | None] = {
        "person": person,
        "since": span.since,
        "until": span.until,
        "nobody": NOBODY,
    }
    if hand_over:
        write.execute(
            "UPDATE presets SET person = :nobody WHERE person = :person AND community IS NOT NULL"
            " AND saved_at >= :since AND saved_at < :until",
            values,
        )
    mine = "reporter = :person AND made_at >= :since AND made_at < :until"
    _tell_of_reports(write, mine, values)
    for table, who, when in (
        ("favourites", "person", "kept_at"),
        ("presets", "person", "saved_at"),
        ("forms", "person", "made_at"),
        ("reports", "reporter", "made_at"),
    ):
        write.execute(
            f"DELETE FROM {table} WHERE {who} = :person"  # noqa: S608
            f" AND {when} >= :since AND {when} < :until",
            values,
        )
    for table, who, when in (
        ("acts", "actor", "at"),
        ("acts", "subject", "at"),
        ("blocks", "actor", "at"),
        ("reports", "decided_by", "decided_at"),
        ("blocked_words", "added_by", "added_at"),
        ("disabled_entries", "actor", "at"),
    ):
        cleared = ", details = '{}'" if table == "acts" else ""
        write.execute(
            f"UPDATE {table} SET {who} = :nobody{cleared} WHERE {who} = :person"  # noqa: S608
            f" AND {when} >= :since AND {when} < :until",
            values,
        )
    write.execute(
        "UPDATE acts SET details = '{}' WHERE id > 0 AND at >= :since AND at < :until"
        " AND instr(details, :id)"
        " AND EXISTS (SELECT 1 FROM json_tree(details) WHERE atom IN (:person, :id)"
        " OR atom = CAST(:id AS INTEGER) OR instr(atom, '@' || :id || '>'))",
        {**values, "id": person.partition(":")[2]},
    )
    if span.whole:
        write.execute(
            "DELETE FROM level_settings WHERE level = 'person' AND place = :person"
            " AND changed_at < :until",
            values,
        )
