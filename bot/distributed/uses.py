"""Which parts of a folder are in use, by this process or by others that share it."""

import errno
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from filelock import FileLock, Timeout

from bot.process.lock import file_lock

log = logging.getLogger(__name__)

USED: Final = ".used"
"""The folder of locks on parts that are used, each held by who uses it."""
LOOK: Final = 0.1
"""Seconds between two looks at whether to go on waiting for the lock."""


@dataclass(slots=True)
class _Use:
    """How often this process uses a part now, and what tells the others; None if it cannot."""

    times: int
    lock: FileLock | None


class Uses:
    """The parts in use, each by its digest. Any thread may use it.

    folder: of the parts. In it, each process marks those that it uses.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._uses: dict[str, _Use] = {}

    def mark(self, digest: str) -> None:
        """This process uses the part once more."""
        with self._lock:
            if (use := self._uses.get(digest)) is not None:
                use.times += 1
                return
            try:
                # A name of its own, as whoever finds the lock free deletes the file.
                lock = file_lock(self._folder / USED / f"{digest}.{uuid4().hex[:8]}")
                mark = lock if taken(lock, 0) else None
            except OSError as error:
                log.warning("%s: others may delete it: %s", self._folder / digest, error.strerror)
                mark = None
            self._uses[digest] = _Use(1, mark)

    def unmark(self, digest: str) -> None:
        """It uses it once less."""
        with self._lock:
            use = self._uses[digest]
            use.times -= 1
            if use.times:
                return
            del self._uses[digest]
        if use.lock is not None:
            use.lock.release()
            Path(use.lock.lock_file).unlink(missing_ok=True)

    def has(self, digest: str) -> bool:
        """Whether any process uses the part."""
        with self._lock:
            if digest in self._uses:
                return True
        for path in (self._folder / USED).glob(f"{digest}.*"):
            lock = file_lock(path)
            if not taken(lock, 0):
                return True
            lock.release()
            path.unlink(missing_ok=True)  # of one that was killed
        return False


def taken(lock: FileLock, seconds: float) -> bool:
    """Take `lock` within so many seconds; returns whether that could be done. Raises OSError."""
    try:
        lock.acquire(timeout=seconds, poll_interval=LOOK / 2)
    except Timeout:
        return False
    except NotImplementedError as error:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), lock.lock_file) from error
    return True
