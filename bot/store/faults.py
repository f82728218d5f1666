"""SQLite and file errors as StoreErrors that tell the owner what to do."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from bot.errors import StoreError

MIB = 1024**2
DAMAGED = (
    "stop the bot and run `python main.py check --repair`, which saves what can be read and adds "
    "missing rows from the newest backup"
)


def store_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    """The StoreError for `error`, raised by the database at `path`."""
    name = getattr(error, "sqlite_errorname", "") or ""
    said = " ".join(str(error).split())
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "malformed" in said:
        return StoreError(f"{path}: the database is damaged ({said}); {DAMAGED}", lasting=True)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path}: the database is locked: another program has held it for more than 1 s; "
            "close that program (a database browser, a copy of the bot)"
        )
    if name == "SQLITE_FULL" or _is_full(path):
        return StoreError(
            f"{path}: the disk is full ({_free(path)} free); make room, or move IMAGEN_DATA_DIR"
        )
    closed = name.startswith("SQLITE_CANTOPEN") and not os.access(path.parent, os.W_OK)
    if closed or name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return StoreError(
            f"{path}: the database is read-only; give the bot's user write permission for the "
            f"file, its -wal and -shm files and the folder {path.parent}",
            lasting=True,
        )
    if name.startswith("SQLITE_IOERR"):
        return StoreError(
            f"{path}: the disk cannot be read or written ({said}, {_free(path)} free); check "
            "the disk's health and quotas"
        )
    return StoreError(f"{path}: the database cannot be used: {said}")


def files_error(folder: Path, error: OSError) -> StoreError:
    """The StoreError for `error`, raised while writing files in `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{folder}: the disk is full ({_free(folder)} free); make room, lower IMAGEN_KEEP_GB, "
            "or move IMAGEN_DATA_DIR"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            f"{error.filename or folder}: it cannot be written ({error.strerror}); give the bot's "
            f"user write permission for {folder}",
            lasting=True,
        )
    return StoreError(f"{folder}: the files cannot be written: {error}")


def files_unread(folder: Path, error: OSError) -> StoreError:
    """The StoreError for `error`, raised while reading files in `folder`."""
    return StoreError(f"{folder}: the files cannot be read: {error}")


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free // MIB} MiB"
    except OSError:
        return "unknown"


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < MIB
    except OSError:
        return False
