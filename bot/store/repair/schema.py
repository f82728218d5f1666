"""Brings a database to a schema version, from the command line."""

import sqlite3

from bot.store.migrating import MIGRATIONS, read_scripts


def migrate(connection: sqlite3.Connection, version: int | None = None) -> None:
    """Bring the schema of `connection` to `version`, or to the latest if None."""
    scripts = read_scripts(MIGRATIONS)[:version]
    present = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, sql in enumerate(scripts[present:], start=present + 1):
        connection.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
