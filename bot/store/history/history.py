"""History: what a person asked for, found by words, models, LoRAs, kind and time."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bot.errors import StoreError
from bot.request import GenerationRequest
from bot.store.database import Database, Row
from bot.store.history import index, words
from bot.store.jobs import FAULTS, Job, Kind
from bot.store.origins import SELECT_JOBS

log = logging.getLogger(__name__)

PART: Final = 100
"""Jobs that are added to the index, or removed from it, in one transaction."""
MERGED: Final = 64
"""Pages of 4 KB that are written in one transaction while the index is merged."""
PAUSE: Final = 0.02
"""Seconds between two parts of either, for everyone else who writes."""
TRY_AGAIN: Final = 60.0
TEND_EVERY: Final = 30.0
"""Seconds between two looks whether segments are to be merged."""
WORDS_MAX: Final = 200
"""The most words that a beginning stands for without being merged first, which reads them all."""

_BEGINNING_WITH: Final = """
WITH RECURSIVE found (term) AS (
    SELECT (SELECT term FROM history_terms WHERE term >= :first AND term < :after LIMIT 1)
    UNION ALL
    SELECT (SELECT term FROM history_terms
            WHERE term >= found.term || char(1) AND term < :after LIMIT 1)
    FROM found WHERE found.term IS NOT NULL
)
SELECT term FROM found WHERE term IS NOT NULL LIMIT :most
"""
_PAGE: Final = """
SELECT history.rowid AS number, entry.job_id AS id
FROM history
CROSS JOIN history_entries AS entry ON entry.number = history.rowid
CROSS JOIN jobs ON jobs.id = entry.job_id
WHERE history MATCH :match AND history.rowid >= :first AND history.rowid < :end
  AND (state IN ('done', 'delivered')
       OR state = 'failed' AND EXISTS (SELECT 1 FROM images WHERE images.job_id = jobs.id))
ORDER BY history.rowid {order} LIMIT :size
"""
_OLDER: Final = _PAGE.format(order="DESC")
_NEWER: Final = _PAGE.format(order="ASC")
_END: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for; all of it must be so.

    words: of prompts and negative prompts, as a person types them. model, lora: catalog keys.
    since, until: milliseconds since the epoch; what was asked for at `until` or later is not found.
    """

    words: str = ""
    model: str | None = None
    lora: str | None = None
    kind: Kind | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A job that was found. number: tells its place; it grows with the time of the job."""

    number: int
    job: Job


class History:
    """The index, and what is found in it.

    Every job that is accepted is in it from then on, until its result is deleted. `catch_up` adds
    those of earlier versions.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        person: str,
        query: Query,
        size: int,
        *,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Found]:
        """At most `size` results of that person, the newest first.

        before: only those with a smaller number. after: the nearest of those with a greater one.
        """
        if query.words.strip() and not words.pieces(query.words):
            return []  # signs alone, which no word has
        first = 0 if query.since is None else index.first_of(query.since + 999)
        end = _END if query.until is None else index.first_of(query.until + 999)
        if before is not None:
            end = min(end, before)
        if after is not None:
            first = max(first, after + 1)
        rows = await self._database.rows(
            _OLDER if after is None else _NEWER,
            {
                "match": await self._match(person, query),
                "first": first,
                "end": end,
                "size": size,
            },
        )
        found = await self._read(rows)
        return sorted(found, key=lambda each: each.number, reverse=True)

    async def _match(self, person: str, query: Query) -> str:
        """The query in the syntax of FTS5."""
        parts = []
        for piece in words.pieces(query.words):
            single = words.phrase(person, piece)
            parts.append(
                await self._beginning_with(person, piece[0]) if words.is_prefix(piece) else single
            )
        tags = {"model": query.model, "lora": query.lora, "kind": query.kind}
        parts += [
            words.phrase(person, [words.tag(name, value)])
            for name, value in tags.items()
            if value is not None
        ]
        return " AND ".join(parts or [words.phrase(person, [""])])

    async def _beginning_with(self, person: str, letters: str) -> str:
        """All of the person's words that begin with these letters.

        One after another, they are read only as far as the page needs it. FTS5 would first merge
        all their rows, which takes most of a second for someone with a million.
        """
        first = words.own(person, letters)
        rows = await self._database.rows(
            _BEGINNING_WITH,
            {"first": first, "after": f"{first}\U0010ffff", "most": WORDS_MAX + 1},
        )
        if len(rows) > WORDS_MAX:
            return f'"{first}" *'
        found = [row["term"] for row in rows] or [first]
        return "(" + " OR ".join(f'"{term}"' for term in found) + ")"

    async def _read(self, rows: Sequence[Row]) -> list[Found]:
        numbers = {row["id"]: row["number"] for row in rows}
        jobs = await self._database.rows(
            f"{SELECT_JOBS} WHERE jobs.id IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(list(numbers)),),
        )
        return [Found(numbers[row["id"]], Job.from_row(row)) for row in jobs]

    async def tend(self) -> None:
        """Catch up, then keep the index in few segments, until cancelled.

        FTS5 would merge them within the transaction that accepts a job, which then takes longer.
        """
        await self.catch_up()
        while True:
            await asyncio.sleep(TEND_EVERY)
            try:
                await self._merge(MERGED)
            except StoreError as error:
                log.error("the index of prompts was not merged: %s", error)

    # Jobs of earlier versions

    async def caught_up(self) -> bool:
        """Whether every job is in the index."""
        row = await self._database.row("SELECT format, below FROM history_progress")
        return row is not None and row["format"] == words.FORMAT and row["below"] <= 0

    async def catch_up(self) -> None:
        """Add the jobs that are not in the index, the latest first, a part at a time.

        What was added stays if the process dies. Failures are logged, and tried again.
        """
        while True:
            try:
                await self._database.write(_begin)
                await self._add_all()
            except StoreError as error:
                log.error("the index of prompts is not complete yet: %s", error)
                await asyncio.sleep(TRY_AGAIN)
            else:
                return

    async def _add_all(self) -> None:
        more = True
        while more:
            more = await self._add_part()
            await self._database.write(partial(_merge_part, MERGED))
            await asyncio.sleep(PAUSE)

    async def _add_part(self) -> bool:
        """Returns whether there may be more."""
        rows = await self._database.rows(
            "SELECT jobs.rowid AS place, id, person, kind, created_at, request FROM jobs"
            " WHERE jobs.rowid < (SELECT below FROM history_progress)"
            " ORDER BY jobs.rowid DESC LIMIT ?",
            (PART,),
        )
        # In this order each part is written once; a smaller number would begin another segment.
        rows.sort(key=lambda row: (row["created_at"], row["place"]))
        read = await asyncio.to_thread(lambda: [(row, _request(row)) for row in rows])
        below = min((row["place"] for row in rows), default=0)
        await self._database.write(partial(_add_all, read, below))
        return bool(rows)

    # Forgetting

    async def forget(self, *, person: str | None = None, jobs: Collection[str] = ()) -> None:
        """Remove all entries of a person, or of these jobs, so that nothing of them is left in
        the file of the database, except what its write-ahead log and backups still hold.

        Their rows in the table `jobs` must be deleted after this, not before. FTS5 only notes that
        a row is removed, and drops it when it merges the segments that hold both. So the whole
        index is written anew, a part at a time; SQLite overwrites what is freed (`secure_delete`).
        """
        left = list(jobs)
        while person is not None:
            match = words.phrase(person, [""])
            rows = await self._database.rows(
                "SELECT job_id FROM history"
                " CROSS JOIN history_entries ON number = history.rowid"
                " WHERE history MATCH ? LIMIT ?",
                (match, PART),
            )
            if not rows:
                break
            await self._remove([row["job_id"] for row in rows])
        for begin in range(0, len(left), PART):
            await self._remove(left[begin : begin + PART])
        # A negative number begins with all segments; a positive one goes on.
        await self._merge(-MERGED)

    async def _remove(self, job_ids: Collection[str]) -> None:
        await self._database.write(lambda write: index.remove(write, job_ids))
        await asyncio.sleep(PAUSE)

    async def _merge(self, pages: int) -> None:
        """Merge segments of the index, so many pages at a time, until there is nothing to merge."""
        while await self._database.write(partial(_merge_part, pages)):
            pages = MERGED
            await asyncio.sleep(PAUSE)


def _begin(write: sqlite3.Connection) -> None:
    """Make the index anew if it is of another format."""
    [format_] = write.execute("SELECT format FROM history_progress").fetchone()
    if format_ == words.FORMAT:
        return
    write.execute("INSERT INTO history (history) VALUES ('delete-all')")
    write.execute("DELETE FROM history_entries")
    write.execute(
        "UPDATE history_progress SET format = ?,"
        " below = (SELECT coalesce(max(jobs.rowid), -1) + 1 FROM jobs)",
        (words.FORMAT,),
    )


def _add_all(
    read: Sequence[tuple[Row, GenerationRequest | None]], below: int, write: sqlite3.Connection
) -> None:
    for row, request in read:
        wanted = write.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND deleted_at IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM history_entries WHERE job_id = jobs.id)",
            (row["id"],),
        ).fetchone()
        if wanted is not None and request is not None:
            index.add(write, row["id"], row["person"], row["kind"], row["created_at"], request)
    write.execute("UPDATE history_progress SET below = ?", (below,))


def _request(row: Row) -> GenerationRequest | None:
    try:
        return GenerationRequest.from_dict(json.loads(row["request"]))
    except FAULTS:
        return None  # reported by whoever reads the job itself


def _merge_part(pages: int, write: sqlite3.Connection) -> bool:
    """Returns whether there is more to do (SQLite docs, fts5, "The 'merge' Command")."""
    before = write.total_changes
    write.execute("INSERT INTO history (history, rank) VALUES ('merge', ?)", (pages,))
    return write.total_changes - before >= 2
