"""Repair: rebuild a damaged database from its readable rows and the newest backup.

Only for use from the command line while the bot is stopped; nothing here is asynchronous.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import StoreError
from bot.store.backup import backups_of
from bot.store.database import MIGRATIONS, read_scripts
from bot.store.faults import store_error
from bot.store.origins import DEFAULT_UPLOAD_LIMIT

TABLES = (
    *("jobs", "discord_jobs", "api_jobs", "api_keys", "api_uploads"),
    *("images", "tokens", "settings"),
)
BEFORE_ORIGINS = 3
"""The last schema in which a job had the columns of Discord."""
STEP_MAX = 4096
"""The most row ids to skip at once after a row that cannot be read."""


@dataclass
class Repair:
    """What was done.

    aside: where the damaged file is kept; None if the database was not damaged.
    rescued, added: rows by table, from the damaged file and from `backup`.
    """

    aside: Path | None = None
    backup: Path | None = None
    rescued: dict[str, int] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)


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
            done.rescued = _copy_rows(path, new)
            _migrate(new)
            if done.backup is not None:
                done.added = _add_backup(done.backup, new)
            _tie_up(new)
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
            if not version and "user_id" in _columns(connection, "jobs"):
                return BEFORE_ORIGINS
            return version or None
    except sqlite3.DatabaseError:
        return None


def _create(path: Path, version: int | None) -> sqlite3.Connection:
    """An empty database with that schema version, or the latest if None."""
    connection = sqlite3.connect(path, isolation_level=None)
    _migrate(connection, version)
    return connection


def _migrate(connection: sqlite3.Connection, version: int | None = None) -> None:
    """Bring the schema of `connection` to `version`, or to the latest if None."""
    scripts = read_scripts(MIGRATIONS)[:version]
    present = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, sql in enumerate(scripts[present:], start=present + 1):
        connection.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")


def _add_backup(backup: Path, new: sqlite3.Connection) -> dict[str, int]:
    """Add to `new` the rows that only the backup has, from a copy migrated to the same schema."""
    copy = backup.with_name(f"{backup.name}.migrated")
    try:
        shutil.copyfile(backup, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            _migrate(connection)
        return _copy_rows(copy, new)
    finally:
        copy.unlink(missing_ok=True)


def _copy_rows(source: Path, new: sqlite3.Connection) -> dict[str, int]:
    """Copy the readable rows of `source` that `new` lacks; returns the number by table."""
    copied = {}
    with closing(sqlite3.connect(source, isolation_level=None)) as old:
        for table in TABLES:
            copied[table] = 0
            with suppress(sqlite3.DatabaseError):
                columns = [name for name in _columns(old, table) if name in _columns(new, table)]
                if columns:
                    new.execute("BEGIN")
                    copied[table] = _copy_table(old, new, table, columns)
                    new.execute("COMMIT")
            if new.in_transaction:
                new.execute("COMMIT")
    return copied


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _copy_table(
    old: sqlite3.Connection, new: sqlite3.Connection, table: str, columns: list[str]
) -> int:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    copied = 0
    for ascending in (True, False):
        for row in _rows(old, table, names, ascending=ascending):
            if not _readable(dict(zip(columns, row, strict=True))):
                continue
            # A value of the wrong type for its STRICT column is damage too.
            with suppress(sqlite3.IntegrityError):
                copied += new.execute(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
                    row,
                ).rowcount
    return copied


def _rows(
    old: sqlite3.Connection, table: str, names: str, *, ascending: bool
) -> Iterator[tuple[object, ...]]:
    """Rows in order of their id; unreadable ones are skipped in steps that double each time."""
    compare, order, sign = (">=", "ASC", 1) if ascending else ("<=", "DESC", -1)
    at = 0 if ascending else 2**62
    step = 1
    while True:
        try:
            row = old.execute(
                f"SELECT rowid, {names} FROM {table} WHERE rowid {compare} ?"  # noqa: S608
                f" ORDER BY rowid {order} LIMIT 1",
                (at,),
            ).fetchone()
        except sqlite3.DatabaseError:
            # Going down from the highest possible id, there is no row yet to skip from.
            if step > STEP_MAX or abs(at) > 2**60:
                return
            at += sign * step
            step *= 2
            continue
        if row is None:
            return
        yield tuple(row[1:])
        at, step = row[0] + sign, 1


def _readable(row: dict[str, object]) -> bool:
    """Whether the JSON of a job can be parsed."""
    try:
        for name in ("request", "recipe", "error", "warnings"):
            if row.get(name) is not None:
                json.loads(str(row[name]))
    except ValueError:
        return False
    return True


def _tie_up(new: sqlite3.Connection) -> None:
    """Remove references to lost rows; restore lost `discord_jobs` rows as far as `jobs` allows."""
    for sql in (
        "DELETE FROM discord_jobs WHERE job_id NOT IN (SELECT id FROM jobs)",
        "DELETE FROM tokens WHERE job_id NOT IN (SELECT id FROM jobs)",
        "DELETE FROM images WHERE job_id NOT IN (SELECT id FROM jobs)",
        "UPDATE jobs SET parent_id = NULL WHERE parent_id NOT IN (SELECT id FROM jobs)",
    ):
        new.execute(sql)
    new.execute(
        "INSERT INTO discord_jobs (job_id, user_id, guild_id, locale, upload_limit)"
        " SELECT id, substr(person, 9), substr(community, 9), 'en-US', ? FROM jobs"
        " WHERE origin = 'discord' AND id NOT IN (SELECT job_id FROM discord_jobs)"
        " AND substr(person, 9) GLOB '[0-9]*' AND substr(person, 9) NOT GLOB '*[^0-9]*'"
        " AND coalesce(substr(community, 9), '0') NOT GLOB '*[^0-9]*'",
        (DEFAULT_UPLOAD_LIMIT,),
    )
    new.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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
