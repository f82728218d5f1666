"""Adds from a backup what a damaged database has lost, but not what had been deleted from it."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bot.store.jobs import now_ms
from bot.store.personal.erasing import NOBODY
from bot.store.repair.reading import (
    Fate,
    Table,
    Values,
    columns_of,
    fate_of,
    insert,
    row_of,
    rows_of,
    tables_of,
)
from bot.store.repair.schema import migrate

ALWAYS: Final = "forgettings"
"""Added in any case: to forget somebody once more takes nothing that is newer than the request."""
STAYS: Final = "blocks"
"""Not deleted when somebody is forgotten."""


@dataclass
class Added:
    """Rows by table.

    rows: added from the backup. unsure: of these, those of which the damaged file does not tell
    whether they had been deleted. left_out: not added, because they had, or seem to have been.
    rescued: read from the damaged file after all.
    """

    rows: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    rescued: Counter[str] = field(default_factory=Counter)


def add_backup(backup: Path, damaged: Path, new: sqlite3.Connection) -> Added:
    """Add to `new` the rows that it lacks, from a copy of the backup with the same schema."""
    copy = backup.with_name(f"{backup.name}.migrated")
    try:
        shutil.copyfile(backup, copy)
        with (
            closing(sqlite3.connect(copy, isolation_level=None)) as kept,
            closing(sqlite3.connect(damaged, isolation_level=None)) as old,
        ):
            kept.execute("PRAGMA synchronous = OFF")
            migrate(kept)
            new.execute("BEGIN")
            added = _Adding(kept, old, new).add()
            new.execute("COMMIT")
            return added
    finally:
        copy.unlink(missing_ok=True)


class _Adding:
    def __init__(
        self, kept: sqlite3.Connection, old: sqlite3.Connection, new: sqlite3.Connection
    ) -> None:
        self._kept = kept
        self._old = old
        self._new = new
        self._added = Added()
        self._forgotten = set[str]()
        self._without_images = set[str]()

    def add(self) -> Added:
        tables = {table.name: table for table in tables_of(self._new)}
        self._find_forgotten(tables["jobs"])
        for table in tables.values():
            self._add_table(table)
        self._mark_deleted()
        return self._added

    def _find_forgotten(self, jobs: Table) -> None:
        for row in self._missing(jobs):
            job = dict(zip(jobs.columns, row, strict=True))
            if self._fate(jobs, row) is Fate.DELETED:
                self._forgotten.add(str(job["person"]))
        self._forgotten.discard(NOBODY)

    def _add_table(self, table: Table) -> None:
        same = self._has_same_columns(table)
        for row in self._missing(table):
            fate = self._fate(table, row)
            if same and fate is not Fate.DELETED:
                newer = row_of(self._old, table, _key(table, row))
                if newer is not None and insert(self._new, table, table.columns, newer):
                    self._added.rescued[table.name] += 1
                    continue
            unsure = fate is Fate.UNKNOWN
            if fate is Fate.DELETED or (unsure and self._is_of_forgotten(table, row)):
                self._added.left_out[table.name] += 1
                if table.name == "images":
                    self._without_images.add(str(row[table.columns.index("job_id")]))
            elif self._refers_to_nothing(table, row):
                self._added.left_out[table.name] += 1
            elif insert(self._new, table, table.columns, row):
                self._added.rows[table.name] += 1
                self._added.unsure[table.name] += unsure

    def _missing(self, table: Table) -> Iterator[Values]:
        """The rows of the backup that `new` lacks."""
        for row in rows_of(self._kept, table, table.columns):
            if fate_of(self._new, table.name, table.key, _key(table, row)) is Fate.DELETED:
                yield row

    def _fate(self, table: Table, row: Values) -> Fate:
        if table.name == ALWAYS:
            return Fate.KEPT
        fate = fate_of(self._old, table.name, table.key, _key(table, row))
        job = dict(zip(table.columns, row, strict=True))
        if table.name == "jobs" and job["origin"] == "discord" and fate is not Fate.DELETED:
            # Of a forgotten job from which others have made something, only the ID is left.
            key = (job["id"],)
            if fate_of(self._new, "discord_jobs", ("job_id",), key) is Fate.KEPT:
                return Fate.KEPT
            return fate_of(self._old, "discord_jobs", ("job_id",), key)
        return fate

    def _is_of_forgotten(self, table: Table, row: Values) -> bool:
        return table.name != STAYS and not self._forgotten.isdisjoint(row)

    def _refers_to_nothing(self, table: Table, row: Values) -> bool:
        return any(
            fate_of(self._new, other, (its,), (row[table.columns.index(column)],)) is Fate.DELETED
            for column, other, its in table.refers
            if column not in table.nullable
        )

    def _has_same_columns(self, table: Table) -> bool:
        try:
            return columns_of(self._old, table.name) == table.columns
        except sqlite3.DatabaseError:
            return False

    def _mark_deleted(self) -> None:
        """Of a job whose images were deleted, the index of prompts must know nothing."""
        self._new.executemany(
            "UPDATE jobs SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL"
            " AND state IN ('delivered', 'failed')"
            " AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id)",
            [(now_ms(), job_id) for job_id in sorted(self._without_images)],
        )


def _key(table: Table, row: Values) -> Values:
    return tuple(row[table.columns.index(column)] for column in table.key)
