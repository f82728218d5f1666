"""SHA-256 of weights, cached by path, size and modification time: the files are gigabytes."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

log = logging.getLogger(__name__)

CHUNK: Final = 8 * 2**20
"""Bytes read at once between two calls of `tick`."""

Tick = Callable[[float], None]
"""Gets the fraction done, 0.0–1.0; may raise to stop."""


def _update(digest: "hashlib._Hash", piece: memoryview) -> None:
    digest.update(piece)


class HashCache:
    """Digests of files, kept in one JSON file; losing it only costs time. Any thread may use it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known = self._read()

    def of_file(self, path: Path, tick: Tick) -> str:
        """Hex digest of the whole file."""
        return self._digests(path, ("0",), lambda: (0,), tick)[0]

    def of_adapter(self, path: Path, data_start: Callable[[], int], tick: Tick) -> tuple[str, str]:
        """Hex digests of the whole file and of the tensors after its header, in one read.

        data_start: the offset of the tensors; called only when the file must be read.
        """
        whole, data = self._digests(path, ("0", "data"), lambda: (0, data_start()), tick)
        return whole, data

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
        """The result of `measure` for `name` and these files; called only when they changed."""
        files = [(path, path.stat()) for path in paths]
        key = "|".join(str(path.absolute()) for path, _ in files) + f":{name}"
        stamp = "|".join(f"{stat.st_size}:{stat.st_mtime_ns}" for _, stat in files)
        known = self._known.get(key, "").partition("=")
        if known[0] == stamp:
            return known[2]
        digest = measure()
        self._note({key: f"{stamp}={digest}"})
        return digest

    def _digests(
        self,
        path: Path,
        parts: Sequence[str],
        starts: Callable[[], Sequence[int]],
        tick: Tick,
    ) -> list[str]:
        """Hex digests of the file from each of `starts` on. parts: their names in the cache."""
        before = path.stat()
        stamp = f"{before.st_size}:{before.st_mtime_ns}"
        keys = [f"{path.absolute()}:{part}" for part in parts]
        known = [self._known.get(key, "").partition("=") for key in keys]
        if all(found == stamp for found, _, _ in known):
            return [digest for _, _, digest in known]
        begins = starts()
        running = [hashlib.sha256() for _ in begins]
        # Each digest takes longer than reading, and releases the interpreter lock.
        with path.open("rb") as file, ThreadPoolExecutor(len(running)) as pool:
            done = 0
            while chunk := file.read(CHUNK):
                pieces = [memoryview(chunk)[max(0, begin - done) :] for begin in begins]
                list(pool.map(_update, running, pieces))
                done += len(chunk)
                tick(done / max(before.st_size, 1))
        digests = [digest.hexdigest() for digest in running]
        after = path.stat()
        if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            self._note({k: f"{stamp}={digest}" for k, digest in zip(keys, digests, strict=True)})
        return digests

    def _note(self, found: Mapping[str, str]) -> None:
        with self._lock:
            self._known |= found
            self._write()

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
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error.strerror)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
