"""Stamps: by them it is told that a file has not changed since it was read."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from catalog.disk import is_scarce, status_of
from catalog.weight_files import CONFIG_FILE, config_file

Stamp = tuple[str, int, int, int]
"""Path, size, mtime and ctime in nanoseconds. A copy that keeps the mtime has another ctime."""


def stamps_of(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """Of those that are there. Raises OSError if something is scarce."""
    found = []
    for file in files:
        try:
            status = status_of(file)
        except OSError as error:
            if is_scarce(error):
                raise
            found.append((str(file), -1, -1, -1))
        else:
            if status:
                found.append((str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)


def stamps_now(stamps: Iterable[Stamp]) -> Iterator[Stamp]:
    """The same files' stamps as they are now, in order; -1 for those that cannot be looked at."""
    stamping = Stamping()
    for path, *_ in stamps:
        try:
            yield stamping.of(path)
        except OSError:
            yield (path, -1, -1, -1)


class Stamping:
    """Takes stamps of files, looking once for each of their folders whether it has peft's
    configuration: there may be 10,000 files in it, and this is done all the time."""

    def __init__(self) -> None:
        self._configured: dict[str, bool] = {}

    def of(self, file: Path | str) -> Stamp:
        """As `stamp_of`."""
        path = str(file)
        folder = path.rpartition(os.sep)[0]
        if folder not in self._configured:
            self._configured[folder] = _has_config(folder)
        return stamp_of(Path(path)) if self._configured[folder] else _stamp(path)


def stamp_of(file: Path) -> Stamp:
    """The stamp of a weight file, together with peft's configuration of it. Raises OSError."""
    path, size, modified, changed = _stamp(str(file))
    config = config_file(file)
    if config is None:
        return (path, size, modified, changed)
    beside = config.stat()
    return (
        path,
        size + beside.st_size,
        max(modified, beside.st_mtime_ns),
        max(changed, beside.st_ctime_ns),
    )


def _has_config(folder: str) -> bool:
    """Whether a folder may have peft's configuration."""
    try:
        return status_of(Path(folder, CONFIG_FILE)) is not None
    except OSError:
        return True


def _stamp(path: str) -> Stamp:
    status = os.stat(path)  # noqa: PTH116 – to make a path takes longer than this
    return (path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
