"""SHA-256 of weights, remembered by path, size and modification time: they have gigabytes."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

log = logging.getLogger(__name__)

CHUNK: Final = 8 * 2**20
"""Bytes read at once, and between two calls of `tick`."""

Tick = Callable[[float], None]
"""Told the fraction done, 0.0–1.0; may raise to stop."""


class HashBook:
    """Digests of files, kept in one JSON file. A lost or broken book only costs time."""

    def __init__(self, book: Path) -> None:
        self._book = book
        self._known = self._read()

    def of_file(self, path: Path, tick: Tick) -> str:
        """Hex digest of the whole file."""
        return self._digest(path, 0, tick)

    def of_data(self, path: Path, start: int, tick: Tick) -> str:
        """Hex digest from byte `start` on: the tensors behind a header."""
        return self._digest(path, start, tick)

    def of_files(self, root: Path, files: Iterable[Path], tick: Tick) -> str:
        """Hex digest of the lines `<digest>  <path below root>`, sorted, as `sha256sum` prints."""
        paths = list(files)
        sizes = [path.stat().st_size for path in paths]
        total, done, lines = max(sum(sizes), 1), 0, []
        for path, size in zip(paths, sizes, strict=True):

            def part(fraction: float, start: int = done, size: int = size) -> None:
                tick((start + size * fraction) / total)

            digest = self.of_file(path, part)
            lines.append(f"{digest}  {path.relative_to(root).as_posix()}\n")
            done += size
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def of_contents(self, paths: Iterable[Path], name: str, measure: Callable[[], str]) -> str:
        """What `measure` says of the part `name` of these files; asked only when they changed."""
        files = [(path, path.stat()) for path in paths]
        key = "|".join(str(path.absolute()) for path, _ in files) + f":{name}"
        stamp = "|".join(f"{stat.st_size}:{stat.st_mtime_ns}" for _, stat in files)
        known = self._known.get(key, "").partition("=")
        if known[0] == stamp:
            return known[2]
        digest = measure()
        self._known[key] = f"{stamp}={digest}"
        self._write()
        return digest

    def _digest(self, path: Path, start: int, tick: Tick) -> str:
        before = path.stat()
        key = f"{path.absolute()}:{start}"
        stamp = f"{before.st_size}:{before.st_mtime_ns}"
        known = self._known.get(key, "").partition("=")
        if known[0] == stamp:
            return known[2]
        digest = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(start)
            done = start
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                tick(done / max(before.st_size, 1))
        after = path.stat()
        if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            self._known[key] = f"{stamp}={digest.hexdigest()}"
            self._write()
        return digest.hexdigest()

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._book.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if isinstance(value, str)}

    def _write(self) -> None:
        draft = self._book.with_name(f"{self._book.name}.{uuid4().hex[:8]}.draft")
        try:
            self._book.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(self._known, indent=0), encoding="utf-8")
            draft.replace(self._book)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._book, error.strerror)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
