"""Repair: rebuild a damaged database from its readable rows and the newest backup.

Every table is covered, as the schema says. The index of prompts is left empty; the bot makes it
anew in the background.

What was deleted since the backup must not come back from it: people were forgotten, results
deleted, blocks lifted. Nothing is kept about who was forgotten, so the damaged file itself is
asked. A row that it lacks, by the index of the table's primary key, was deleted; one that it has
but cannot be read is taken from the backup; if the index cannot be read there either, it does not
tell. Such a row is added as well, unless it names a person of whom the file tells that one of
their jobs was deleted, and it is counted, for the owner to be told. Blocks stay in any case, as
they do when somebody is forgotten. Requests to forget somebody that the backup has are added, and
so carried out once more. If the damage hit the file's first page or its schema, it tells nothing.

Only for use from the command line while the bot is stopped; nothing here is asynchronous.
"""

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import StoreError
from bot.store.backup import backups_of
from bot.store.faults import store_error
from bot.store.origins import DEFAULT_UPLOAD_LIMIT
from bot.store.repair.adding import Added, add_backup
from bot.store.repair.reading import columns_of, insert, rows_of, tables_of
from bot.store.repair.schema import migrate

__all__ = ["BEFORE_ORIGINS", "Repair", "repair"]

BEFORE_ORIGINS = 3
"""The last schema in which a job had the columns of Discord."""


@dataclass
class Repair:
    """What was done.

    aside: where the damaged file is kept; None if the database was not damaged.
    rescued: rows by table, from the damaged file. added: what came from `backup`.
    """

    aside: Path | None = None
    backup: Path | None = None
    rescued: Counter[str] = field(default_factory=Counter)
    added: Added = field(default_factory=Added)


def repair(path: Path) -> Repair:
    """Rebuild the database at `path` if it is damaged; the damaged file is kept next to it.

    Raises StoreError if it is in use, does not exist, or the new one cannot be written.
    """
    if not path.is_file():
        raise StoreError(f"{path}: there is no database to repair")
    try:
        if _sound(path):
            return Repair()
        done = Repair(backup=_newest_sound(path))
        fresh = path.with_name(f"{path.name}.repaired")
        fresh.unlink(missing_ok=True)
        with closing(_create(fresh, _version_of(path))) as new:
            done.rescued = _rescue(path, new)
            migrate(new)
            if done.backup is not None:
                done.added = add_backup(done.backup, path, new)
                done.rescued += done.added.rescued
            _tie_up(new)
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        done.aside = _put_aside(path)
        fresh.replace(path)
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except OSError as error:
        raise StoreError(f"{path}: it cannot be repaired: {error}") from error
    return done


def _sound(path: Path) -> bool:
    """Whether it is undamaged. Raises StoreError if it is in use."""
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
        try:
            # In this mode the first access fails unless no other connection has the file open.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreError(f"{path}: it is in use; stop the bot first") from error
            return False
        except sqlite3.DatabaseError:
            return False
    return found == "ok" and broken is None


def _newest_sound(path: Path) -> Path | None:
    return next((backup for backup in backups_of(path) if _sound(backup)), None)


def _version_of(path: Path) -> int | None:
    """The schema version of a damaged file, by its first page; None if that is damaged too."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if not version and "user_id" in columns_of(connection, "jobs"):
                return BEFORE_ORIGINS
            return version or None
    except sqlite3.DatabaseError:
        return None


def _create(path: Path, version: int | None) -> sqlite3.Connection:
    """An empty database with that schema version, or the latest if None."""
    connection = sqlite3.connect(path, isolation_level=None)
    # What is removed again must not stay in the file, which is made durable once it is complete.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = OFF")
    migrate(connection, version)
    return connection


def _rescue(damaged: Path, new: sqlite3.Connection) -> Counter[str]:
    """Copy the rows that can be read; returns the number by table."""
    rescued = Counter[str]()
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old:
        for table in tables_of(new):
            there: tuple[str, ...] = ()
            with suppress(sqlite3.DatabaseError):
                there = columns_of(old, table.name)
            if columns := [column for column in table.columns if column in there]:
                new.execute("BEGIN")
                for row in rows_of(old, table, columns):
                    rescued[table.name] += insert(new, table, columns, row)
                new.execute("COMMIT")
    return rescued


def _tie_up(new: sqlite3.Connection) -> None:
    """Remove references to lost rows; restore lost `discord_jobs` rows as far as `jobs` allows."""
    for table in tables_of(new):
        for column, other, its in table.refers:
            lost = f"{column} NOT IN (SELECT {its} FROM {other})"  # noqa: S608
            if column in table.nullable:
                new.execute(f"UPDATE {table.name} SET {column} = NULL WHERE {lost}")  # noqa: S608
            else:
                new.execute(f"DELETE FROM {table.name} WHERE {lost}")  # noqa: S608
    new.execute(
        "INSERT INTO discord_jobs (job_id, user_id, guild_id, locale, upload_limit)"
        " SELECT id, substr(person, 9), substr(community, 9), 'en-US', ? FROM jobs"
        " WHERE origin = 'discord' AND id NOT IN (SELECT job_id FROM discord_jobs)"
        " AND substr(person, 9) GLOB '[0-9]*' AND substr(person, 9) NOT GLOB '*[^0-9]*'"
        " AND coalesce(substr(community, 9), '0') NOT GLOB '*[^0-9]*'",
        (DEFAULT_UPLOAD_LIMIT,),
    )


def _put_aside(path: Path) -> Path:
    """Move the damaged file, with its -wal and -shm files, out of the way."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            shutil.move(beside, aside.with_name(aside.name + suffix))
    shutil.move(path, aside)
    return aside
