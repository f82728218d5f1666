"""Daily backups of the database, kept for a week.

Copies from before a change of the schema are kept for a month.
"""

import asyncio
import glob
import os
import re
import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from bot.store.database import Database
from bot.store.faults import files_error, store_error
from bot.store.whole_file import erase_tokens_in

KEPT: Final = 7
"""Days for which a backup is kept: what was deleted since is in it."""
COPIES_KEPT: Final = timedelta(days=30)
"""How long a copy from before a change of the schema is kept: prompts are in it."""
UNFINISHED: Final = timedelta(hours=1)
"""How old a copy must be to count as left by a process that died."""
_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def backups_of(database: Path) -> list[Path]:
    """The backups of `database`, newest first."""
    folder = database.parent / "backups"
    found = folder.glob(f"{database.stem}-*{database.suffix}")
    days = [file for file in found if _NAME.fullmatch(file.stem.removeprefix(f"{database.stem}-"))]
    return sorted(days, key=lambda file: file.name, reverse=True)


def schema_copies_of(database: Path) -> list[Path]:
    """The copies of `database` from before its schema changed."""
    return sorted(database.parent.glob(f"{database.stem}-schema-*{database.suffix}"))


def kept_until(database: Path) -> datetime | None:
    """Until when the copies of the database hold what it has now; None if there are none. They are
    deleted with the first backup from then on. Blocks."""
    until = []
    if newest := next(iter(backups_of(database)), None):
        day = datetime.combine(_day_of(newest, database), time(), UTC)
        until.append(day + timedelta(days=KEPT))
    until += [_made_at(copy) + COPIES_KEPT for copy in schema_copies_of(database)]
    return max(until, default=None)


def aside_of(database: Path) -> list[Path]:
    """Damaged and displaced databases beside it, which only the owner deletes. Blocks."""
    name = glob.escape(database.name)
    return [
        *database.parent.glob(f"{name}.damaged-*"),
        *database.parent.glob(f"{name}.displaced-*"),
    ]


def _made_at(copy: Path) -> datetime:
    return datetime.fromtimestamp(copy.stat().st_mtime, UTC)


async def back_up(database: Database, today: date) -> Path | None:
    """Make today's backup if there is none yet, and delete what is kept no longer.

    The file is written atomically. Returns its path, or None if today's backup already existed.
    Raises StoreError if it cannot be written.
    """
    path = database.path
    target = path.parent / "backups" / f"{path.stem}-{today.isoformat()}{path.suffix}"
    if await asyncio.to_thread(target.exists):
        return None
    part = target.with_name(target.name + ".part")
    try:
        await asyncio.to_thread(_make_room, part)
        try:
            await database.copy_to(part)
            await asyncio.to_thread(_settle, part, target)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        await asyncio.to_thread(_forget_old, path, today)
    except OSError as error:
        raise files_error(target.parent, error) from error
    except sqlite3.Error as error:
        raise store_error(target, error) from error
    return target


def _make_room(part: Path) -> None:
    part.parent.mkdir(exist_ok=True)
    part.unlink(missing_ok=True)


def _settle(part: Path, target: Path) -> None:
    erase_tokens_in(part)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _day_of(backup: Path, database: Path) -> date:
    return date.fromisoformat(backup.stem.removeprefix(f"{database.stem}-"))


def _forget_old(database: Path, today: date) -> None:
    for old in backups_of(database):
        if _day_of(old, database) <= today - timedelta(days=KEPT):
            old.unlink(missing_ok=True)
    # What a process left that died while it copied.
    unfinished = [
        *(database.parent / "backups").glob(f"{database.stem}-*{database.suffix}.part*"),
        *database.parent.glob(f"{database.stem}-schema-*{database.suffix}.*.part*"),
    ]
    for part in unfinished:
        if _made_at(part) < datetime.now(UTC) - UNFINISHED:
            part.unlink(missing_ok=True)
    for copy in schema_copies_of(database):
        if _made_at(copy) < datetime.now(UTC) - COPIES_KEPT:
            copy.unlink(missing_ok=True)
