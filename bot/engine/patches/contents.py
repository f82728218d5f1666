"""One pass over an adapter's open file: into the buffer of its tensors, hashed side by side.

What is hashed is what is in the buffer, so the digests are those of the numbers that are applied,
whatever happens to the file meanwhile.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from bot.engine.patches.file_tensors import PIECE, FileTensors
from catalog.weight_files import Opened

_LOOK: Final = 0.1
"""Seconds between checks whether the job was stopped."""


class Contents:
    """Reads a file in the background, from entering the context on; leaving it ends the reading.

    known: the digests, if no byte needs to be hashed for them as long as the file does not change.
    """

    def __init__(self, opened: Opened, known: tuple[str, str] | None) -> None:
        """opened: the file stays the caller's to close."""
        self.tensors = FileTensors(opened.header)
        self.stat: Final = opened.stat
        self._file, self._known = opened.file, known
        self._read_bytes = 0
        self._stopped = threading.Event()
        self._pools = [ThreadPoolExecutor(1) for _ in range(3)]  # none starts a thread before use
        self._digests = (hashlib.sha256(opened.start), hashlib.sha256())
        self._hashing: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._reading = self._pools[0].submit(self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)

    def wait(self, tick: Callable[[float], None]) -> None:
        """Wait until the tensors are in their buffer.

        tick: gets the fraction read, 0.0–1.0; may raise to stop. Raises CutOffError, OSError.
        """
        tick(0.0)
        _wait(self._reading, lambda: tick(self._read_bytes / max(self.tensors.nbytes, 1)))

    def digests(self, tick: Callable[[float], None]) -> tuple[tuple[str, str], bool]:
        """Hex digests of the whole file and of all after its header, and whether they were hashed.

        Of what `wait` waited for, and of what follows the tensors in the file. Raises OSError.
        """
        if self._known and self.steady:
            return self._known, False
        if self._known:
            self._hash(self.tensors.whole)
        while piece := self._file.read(min(PIECE, self._rest)):
            # The tensors' buffer has no room for it: an empty file may claim to be any size.
            self._settle(tick)
            self._hash(memoryview(piece))
        self._settle(tick)
        whole, data = (digest.hexdigest() for digest in self._digests)
        return (whole, data), True

    @property
    def steady(self) -> bool:
        """Whether the open file has not changed since it was opened."""
        now = os.fstat(self._file.fileno())
        return (now.st_size, now.st_mtime_ns) == (self.stat.st_size, self.stat.st_mtime_ns)

    @property
    def _rest(self) -> int:
        """Bytes of the file that are not read; one that grows without end is read to its size."""
        return max(0, self.stat.st_size - self._file.tell())

    def _read(self) -> None:
        for piece in self.tensors.fill(self._file):
            self._read_bytes += len(piece)
            if self._stopped.is_set():
                return
            if not self._known:
                self._hash(piece)

    def _hash(self, piece: memoryview) -> None:
        # Each digest takes longer than reading; like that, it releases the interpreter lock.
        for pool, digest in zip(self._pools[1:], self._digests, strict=True):
            self._hashing.append(pool.submit(digest.update, piece))

    def _settle(self, tick: Callable[[float], None]) -> None:
        for each in self._hashing:
            _wait(each, lambda: tick(1.0))
        self._hashing.clear()


def _wait(future: Future[None], check: Callable[[], None]) -> None:
    while True:
        try:
            future.result(_LOOK)
        except TimeoutError:
            if future.done():
                raise  # from what it does: a network share that does not answer
            check()
        else:
            return
