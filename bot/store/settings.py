"""Settings: what the bot keeps about itself, by key."""

import sqlite3

import aiosqlite

_PUT = (
    "INSERT INTO settings (key, value) VALUES (?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


async def set_setting(write: aiosqlite.Connection, key: str, value: str) -> None:
    """Within a transaction: keep `value` under `key`."""
    await write.execute(_PUT, (key, value))


def put_setting(write: sqlite3.Connection, key: str, value: str) -> None:
    """The same in the thread that writes."""
    write.execute(_PUT, (key, value))
