"""`main.py check --repair`: rebuild a damaged database."""

import sys

from bot.errors import StoreError
from bot.process.lock import only_bot
from bot.settings import Settings
from bot.store.repair import repair


def repair_database(settings: Settings) -> int:
    """Repair the database if it is damaged and print what was done; returns the exit code."""
    path = settings.database.absolute()
    try:
        # A running bot would be left with the old file.
        with only_bot(settings.data_dir.absolute()):
            done = repair(path)
    except StoreError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    if done.aside is None:
        print(f"✓ database: intact, nothing to repair ({path})")
        return 0
    print(f"✓ database: rebuilt ({path})")
    print(f"    recovered from the damaged file: {_counted(done.rescued)}")
    if done.backup is None:
        print("    no backup to restore missing rows from")
    else:
        print(f"    restored from {done.backup.name}: {_counted(done.added)}")
    print(f"    the damaged file is kept as {done.aside.name}")
    return 0


def _counted(rows: dict[str, int]) -> str:
    # Tokens expire within minutes, and the rows of settings are internal to the bot.
    return ", ".join(f"{rows.get(table, 0)} {table}" for table in ("jobs", "images"))
