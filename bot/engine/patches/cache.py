"""Parsed adapter files, kept in RAM up to a limit."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from bot.engine.hashing import HashCache
from bot.engine.patches.file import AdapterFile, check_header, read
from bot.engine.patches.names import AnyTarget, Spellings
from bot.engine.subject import Subject
from catalog.weight_files import config_file

_LOOK: Final = 0.1
"""Seconds between checks whether a job that waits for another thread's read was stopped."""

Key: TypeAlias = tuple[str, int, int, int, tuple[int, ...]]
"""Path, bytes, mtime in ns, number of the names; bytes and mtime of peft's configuration."""


class AdapterCache:
    """Drops the least recently used files first. Any thread may use it.

    limit_bytes: for all files together; 0 keeps none. hashes: keeps the digests of all.
    """

    def __init__(self, limit_bytes: int, hashes: HashCache | None = None) -> None:
        self._limit = limit_bytes
        self._hashes = hashes
        self._lock = threading.Lock()
        self._files: OrderedDict[Key, AdapterFile] = OrderedDict()
        self._reading: dict[Key, threading.Event] = {}
        self._names: list[Spellings] = []

    @property
    def nbytes(self) -> int:
        """Bytes that the cached files take."""
        with self._lock:
            return sum(file.nbytes for file in self._files.values())

    def get(
        self, path: Path, known: Mapping[str, AnyTarget], bases: Collection[str], subject: Subject
    ) -> AdapterFile:
        """Like `read`, but from RAM if the file is unchanged and the model has the same names.

        Waits if another thread is reading the file; if that fails or is stopped, this caller reads
        the file itself.
        """
        try:
            stat = path.stat()
            config = config_file(path)
            beside = config.stat() if config else None
        except OSError as error:
            raise subject.unread(path, error) from error
        more = (beside.st_size, beside.st_mtime_ns) if beside else ()
        number, spellings = self._numbered(known)
        key = (str(path), stat.st_size, stat.st_mtime_ns, number, more)
        while True:
            with self._lock:
                file = self._files.get(key)
                if file:
                    self._files.move_to_end(key)
                    return file
                other = self._reading.get(key)
                if not other:
                    done = self._reading[key] = threading.Event()
                    break
            while not other.wait(_LOOK):
                subject.check_stop()
        try:
            file = read(path, spellings, bases, subject, self._hashes)
            self._keep(key, file)
        finally:
            with self._lock:
                del self._reading[key]
            done.set()
        return file

    def check(self, path: Path, subject: Subject) -> None:
        """Refuse a file that is not an adapter, from its header alone, unless it was read before.

        Raises JobFailed.
        """
        try:
            known = self._hashes and self._hashes.known(path, path.stat())
        except OSError as error:
            raise subject.unread(path, error) from error
        if not known:
            check_header(path, subject)

    def _keep(self, key: Key, file: AdapterFile) -> None:
        with self._lock:
            if file.nbytes > self._limit or file.stamp != key[1:3]:
                return  # the latter if it was replaced or written to after `key` was made
            names = key[3]
            for old in [old for old in self._files if old[0] == key[0]]:
                if (*old[:3], names, *old[4:]) != key:
                    del self._files[old]  # the file or its configuration was replaced
            self._files[key] = file
            total = sum(kept.nbytes for kept in self._files.values())
            while total > self._limit:
                total -= self._files.popitem(last=False)[1].nbytes

    def _numbered(self, known: Mapping[str, AnyTarget]) -> tuple[int, Spellings]:
        """Number the sets of names: models with equal names share the parsed files."""
        with self._lock:
            for number, names in enumerate(self._names):
                if names.known is known or names.known == known:
                    return number, names
            self._names.append(Spellings(known))
            return len(self._names) - 1, self._names[-1]
