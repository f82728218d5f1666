"""Settings: what the bot keeps about itself, by key."""

import sqlite3


def put_setting(write: sqlite3.Connection, key: str, value: str) -> None:
    """Within a transaction: keep `value` under `key`."""
    write.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
