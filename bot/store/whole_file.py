"""What is done to the file of a database as a whole, on a connection of its own, outside the loop.

Each blocks until it is done, and raises sqlite3.Error.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

OPENING_MS = 5_000
"""During opening, another process may be migrating the schema."""
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Overwrite erased tokens on disk instead of only unlinking them.
    "PRAGMA secure_delete = ON",
)


def look_over(path: Path) -> None:
    """Find damage before a job's row is read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"malformed: {said}")


def copy(path: Path, target: Path) -> None:
    """Write a consistent snapshot of it to the new file `target`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        connection.execute("VACUUM INTO ?", (str(target),))


def version_of(path: Path) -> int:
    """The number of the last migration that it had."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def rewrite(path: Path) -> None:
    """Leave no free space in it, and empty its log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (*PRAGMAS, f"PRAGMA busy_timeout = {OPENING_MS}"):
            connection.execute(pragma)
        connection.execute("VACUUM")
        # What was there before is also in the log, until that is emptied.
        [busy] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[:1]
        if busy:
            raise sqlite3.OperationalError("database is locked")


def erase_tokens_in(copy: Path) -> None:
    """Delete interaction tokens, which are secrets, from a copy of the database to be kept."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        named = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        if connection.execute(named, ("tokens",)).fetchone():
            connection.execute("DELETE FROM tokens")
        for table in ("forgettings", "forgotten_messages"):
            if connection.execute(named, (table,)).fetchone():
                connection.execute(f"UPDATE {table} SET token = NULL")  # noqa: S608
