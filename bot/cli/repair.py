"""`main.py check --repair`: a damaged database made sound again."""

import sys

from bot.errors import StoreError
from bot.process.lock import only_bot
from bot.settings import Settings
from bot.store.repair import repair


def repair_database(settings: Settings) -> int:
    """Repair it where it needs that, and say what was done; returns the exit code."""
    path = settings.database.absolute()
    try:
        # Under a running bot it would be taken away.
        with only_bot(settings.data_dir.absolute()):
            done = repair(path)
    except StoreError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    if done.aside is None:
        print(f"✓ database: sound, nothing to repair ({path})")
        return 0
    print(f"✓ database: made anew ({path})")
    print(f"    read from the damaged one: {_counted(done.rescued)}")
    if done.backup is None:
        print("    no backup that could add what was lost")
    else:
        print(f"    added from {done.backup.name}: {_counted(done.added)}")
    print(f"    the damaged one is kept: {done.aside.name}")
    return 0


def _counted(rows: dict[str, int]) -> str:
    # Tokens are of use for minutes only, and settings are the bot's own.
    return ", ".join(f"{rows.get(table, 0)} {table}" for table in ("jobs", "images"))
