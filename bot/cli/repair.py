"""`main.py check --repair`: rebuild a damaged database."""

import sys
from collections import Counter

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
        print(f"    restored from {done.backup.name}: {_counted(done.added.rows)}")
        if left_out := done.added.left_out.total():
            print(f"    not restored, because they were deleted since then: {left_out} rows")
    print(f"    the damaged file is kept as {done.aside.name}; delete it once you do not need it")
    if done.backup is not None and (unsure := done.added.unsure.total()):
        print(
            f"! {unsure} of the restored rows may have been deleted since {done.backup.name}\n"
            "    was made: the damaged file no longer tells. Whoever used /forget since then\n"
            "    should do so again, and a block that was lifted may be back"
        )
    return 0


def _counted(rows: Counter[str]) -> str:
    others = rows.total() - rows["jobs"] - rows["images"]
    return f"{rows['jobs']} jobs, {rows['images']} images, {others} other rows"
