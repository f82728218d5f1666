"""Place: whether the files of an open database are still those under its name.

SQLite keeps its files open. When someone restores a backup, moves the data folder or unmounts the
disk while the bot runs, it goes on writing into files that no one will ever open again.
"""

import logging
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

log = logging.getLogger(__name__)

SUFFIXES: Final = ("", "-wal", "-shm")
"""The file, its log of writes not yet in it, and that log's index (SQLite docs, wal.html)."""


class Displaced(Exception):
    """The files of an open database are not in their place; the text says what has happened."""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a database as they were when it was opened: device and number of each."""

    path: Path
    files: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Blocks. Those that do not exist are not looked for later."""
        found = ((suffix, _identity(_beside(path, suffix))) for suffix in SUFFIXES)
        return cls(path, {suffix: identity for suffix, identity in found if identity})

    def what_is_wrong(self) -> str | None:
        """What has happened to one of the files, as part of a sentence; None if nothing has.

        Blocks. An error in finding out is not taken for a missing file.
        """
        for suffix, then in self.files.items():
            try:
                now = _identity(_beside(self.path, suffix))
            except OSError as error:
                log.warning("%s: cannot be looked at: %s", self.path, error)
                continue
            name = f"its {suffix} file" if suffix else "the file"
            if now is None:
                return f"{name} was moved or deleted"
            if now != then:
                return f"{name} was replaced by another"
        return None

    def check(self) -> None:
        """Raise Displaced if something has happened to one of the files. Blocks."""
        if (wrong := self.what_is_wrong()) is not None:
            raise Displaced(wrong)

    def leave(self) -> None:
        """Delete the log if it is still there beside another file. Blocks.

        SQLite would take it for that file's own, and write it into it at the next start.
        """
        for suffix in SUFFIXES[1:]:
            file = _beside(self.path, suffix)
            try:
                main = _identity(self.path)
                if main not in (None, self.files[""]) and _identity(file) == self.files.get(suffix):
                    file.unlink()
            except OSError as error:
                log.error("%s: cannot be deleted, but belongs to another file: %s", file, error)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _identity(file: Path) -> tuple[int, int] | None:
    """None if there is no such file. Raises OSError for any other reason."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def saved_aside(path: Path, connection: sqlite3.Connection) -> Path | None:
    """Save what `connection` can still read in a new file beside `path`; None if that fails.

    connection: not in a transaction. Its interaction tokens, which are secrets, are left in: they
    expire within minutes. Blocks.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    target = path.with_name(f"{path.name}.displaced-{stamp}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        connection.execute("VACUUM INTO ?", (str(target),))
    except (OSError, sqlite3.Error) as error:
        log.error("%s: cannot be written: %s", target, error)
        return None
    return target
