"""SHA-256 of weights, cached by path, size and modification time: the files are gigabytes."""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

CHUNK: Final = 8 * 2**20
"""Bytes read at once between two calls of `tick`."""
PATIENCE: Final = 5.0
"""Seconds to wait while another process writes the file, which takes milliseconds."""

Tick = Callable[[float], None]
"""Gets the fraction done, 0.0–1.0; may raise to stop."""


def _stamp(of: os.stat_result) -> str:
    return f"{of.st_size}:{of.st_mtime_ns}"


def _keys(path: Path) -> tuple[str, str]:
    """Where the digests of a whole file and of its tensors are kept."""
    return f"{path.absolute()}:0", f"{path.absolute()}:data"


def of_listing(digests: Iterable[tuple[str, str]]) -> str:
    """Hex digest of the lines `<digest>  <name>`, sorted, as `sha256sum` prints them.

    digests: name and hex digest of each file.
    """
    lines = sorted(f"{digest}  {name}\n" for name, digest in digests)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class HashCache:
    """Digests of files, kept in one JSON file; losing it only costs time.

    Any thread may use it, and other caches may use the same file: the engines of several lanes, in
    this process or others, each learn what the others have found.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._seen: int | None = None  # the file's time of modification when it was last read
        self._catch_up()

    def of_file(self, path: Path, tick: Tick) -> str:
        """Hex digest of the whole file."""
        before = path.stat()
        key, stamp = _keys(path)[0], _stamp(before)
        if (digest := self._stored(key, stamp)) is not None:
            return digest
        running = hashlib.sha256()
        with path.open("rb") as file:
            done = 0
            while chunk := file.read(CHUNK):
                running.update(chunk)
                done += len(chunk)
                tick(done / max(before.st_size, 1))
        if _stamp(path.stat()) == stamp:
            self._note({key: f"{stamp}={running.hexdigest()}"})
        return running.hexdigest()

    def whole(self, path: Path) -> str | None:
        """What `of_file` returned for the file as it is; None if that is not known."""
        return self._stored(_keys(path)[0], _stamp(path.stat()))

    def known(self, path: Path, of: os.stat_result) -> tuple[str, str] | None:
        """What `note` got for this path, size and modification time; None if it got nothing."""
        stamp = _stamp(of)
        whole, data = (self._stored(key, stamp) for key in _keys(path))
        return None if whole is None or data is None else (whole, data)

    def note(self, path: Path, of: os.stat_result, digests: tuple[str, str]) -> None:
        """Keep the hex digests of an adapter's file: of all bytes, and of those of its tensors."""
        stamp = _stamp(of)
        pairs = zip(_keys(path), digests, strict=True)
        self._note({key: f"{stamp}={digest}" for key, digest in pairs})

    def of_files(self, root: Path, files: Iterable[Path], tick: Tick) -> str:
        """What `of_listing` returns for these files and their paths below `root`."""
        paths = list(files)
        sizes = [path.stat().st_size for path in paths]
        total, done, listed = max(sum(sizes), 1), 0, []
        for path, size in zip(paths, sizes, strict=True):

            def part(fraction: float, start: int = done, size: int = size) -> None:
                tick((start + size * fraction) / total)

            digest = self.of_file(path, part)
            listed.append((path.relative_to(root).as_posix(), digest))
            done += size
        return of_listing(listed)

    def of_contents(self, paths: Iterable[Path], name: str, measure: Callable[[], str]) -> str:
        """The result of `measure` for `name` and these files; called only when they changed."""
        files = [(path, path.stat()) for path in paths]
        key = "|".join(str(path.absolute()) for path, _ in files) + f":{name}"
        stamp = "|".join(_stamp(stat) for _, stat in files)
        if (known := self._stored(key, stamp)) is not None:
            return known
        digest = measure()
        self._note({key: f"{stamp}={digest}"})
        return digest

    def _stored(self, key: str, stamp: str) -> str | None:
        """The digest kept under `key` for that stamp; None if there is none."""
        stamped, _, digest = self._known.get(key, "").partition("=")
        if stamped == stamp:
            return digest
        with self._lock:
            self._catch_up()
        stamped, _, digest = self._known.get(key, "").partition("=")
        return digest if stamped == stamp else None

    def _note(self, found: Mapping[str, str]) -> None:
        with self._lock, self._alone():
            self._catch_up()
            self._known |= found
            self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from writing the file while the block lasts, where that can be had."""
        lock = FileLock(
            self._file.with_name(f"{self._file.name}.lock"), PATIENCE, fallback_to_soft=False
        )
        with suppress(OSError, NotImplementedError, Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _catch_up(self) -> None:
        """Read what others have written since."""
        try:
            written = self._file.stat().st_mtime_ns
        except OSError:
            return
        if written != self._seen:
            self._known = {**self._known, **self._read()}
            self._seen = written

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def _write(self) -> None:
        draft = self._file.with_name(f"{self._file.name}.{uuid4().hex[:8]}.draft")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._known, indent=0), encoding="utf-8")
            draft.replace(self._file)
            self._seen = self._file.stat().st_mtime_ns
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error.strerror)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
