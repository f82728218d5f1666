"""A database with a row in every table of the schema, also in those yet to come."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from bot.store.migrating import MIGRATIONS, read_scripts

FIT: dict[tuple[str, str], object] = {
    ("jobs", "id"): "job",
    ("jobs", "state"): "delivered",
    ("jobs", "request"): "{}",
    ("jobs", "error"): "{}",
    ("jobs", "recipe"): "{}",
    ("jobs", "warnings"): "[]",
    ("jobs", "parent_id"): None,
    ("discord_jobs", "withheld"): "shown",
    ("level_settings", "level"): "person",
    ("level_settings", "settings"): "{}",
    ("forms", "entered"): "{}",
    ("presets", "options"): "{}",
    ("acts", "details"): "{}",
    ("blocks", "kind"): "person",
    ("blocked_words", "kind"): "word",
    ("blocked_words", "action"): "refuse",
    ("reports", "decision"): "dismissed",
    ("disabled_entries", "kind"): "model",
}
"""What not every text or number would do for."""
INDEX = {"history", "history_terms", "history_entries", "history_progress"}
"""The index of prompts, which only the bot itself fills."""


def fill_every_table(
    database: Path, text: str = "text", number: int = 1
) -> dict[str, list[tuple[Any, ...]]]:
    """One row in each, of what the migrations say; returns them by table.

    text, number: the values wherever any would do.
    """
    any_value = {"TEXT": text, "INTEGER": number}
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        scripts = read_scripts(MIGRATIONS)
        connection.executescript("BEGIN;" + "".join(scripts) + "COMMIT;")
        connection.execute(f"PRAGMA user_version = {len(scripts)}")
        named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        # What FTS5 makes are tables as well.
        own = [
            name
            for (name,) in connection.execute(named)
            if name not in INDEX and name.rpartition("_")[0] != "history"
        ]
        for table in own:
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            row = {
                name: FIT.get((table, name), "job" if name == "job_id" else any_value[kind])
                for _, name, kind, *_ in columns
            }
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", tuple(row.values()))
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in own}
