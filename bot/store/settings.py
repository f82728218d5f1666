"""Settings: what the bot keeps about itself, by key."""

import aiosqlite


async def set_setting(write: aiosqlite.Connection, key: str, value: str) -> None:
    """Within a transaction: keep `value` under `key`."""
    await write.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
