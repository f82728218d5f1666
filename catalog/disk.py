"""What an error of the operating system says about a file: that it is absent, or something else.

A file that cannot be opened because too many others are open, or because a disk or network share
has a bad moment, is still there.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

FileStamp: TypeAlias = tuple[str, int, int, int]
"""Path, size, time of the last change in ns, inode: what changes when a file does."""

_ABSENT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,  # a name that this system does not allow
    }
)
_SCARCE: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EAGAIN,
        errno.EINTR,
    }
)
_AWAY: Final = frozenset(
    {
        errno.EIO,
        errno.EBUSY,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENOLCK,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
    }
)


def is_absent(error: OSError) -> bool:
    """Whether it says that there is no such file, rather than that it cannot be read."""
    return error.errno in _ABSENT or isinstance(error, FileNotFoundError)


def is_scarce(error: OSError) -> bool:
    """Whether the process or the system lacks something at the moment, such as open files."""
    return error.errno in _SCARCE


def may_pass(error: OSError) -> bool:
    """Whether trying again later may help: something is scarce, or a disk or share is away."""
    return error.errno in _SCARCE | _AWAY


def passing_fault(error: BaseException) -> OSError | None:
    """The first error that may pass among `error` and those that led to it."""
    return next(filter(may_pass, _faults(error)), None)


def fault_of(error: OSError) -> OSError:
    """The system's own error among `error` and those that led to it; `error` if there is none."""
    return next((fault for fault in _faults(error) if fault.errno is not None), error)


def _faults(error: BaseException) -> Iterator[OSError]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError):
            yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def status_of(path: Path) -> os.stat_result | None:
    """The status of what `path` leads to; None if it is absent. Raises OSError for all else.

    `Path.exists`, `is_file` and `is_dir` answer False to some errors, and since Python 3.14 to
    every error.
    """
    try:
        return path.stat()
    except ValueError:  # a NUL in the name
        return None
    except OSError as error:
        if is_absent(error):
            return None
        raise


def file_stamp(file: Path | os.DirEntry[str]) -> FileStamp:
    """How it looks now; -1 for what cannot be looked at."""
    path = os.fspath(file)
    try:
        status = file.stat()
    except OSError:
        return (path, -1, -1, -1)
    return (path, status.st_size, status.st_mtime_ns, status.st_ino)


def is_file(path: Path) -> bool:
    """Whether there is such a file. Raises OSError if that cannot be told."""
    status = status_of(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder. Raises OSError if that cannot be told."""
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def names_in(folder: Path) -> list[str]:
    """What is in `folder`, sorted; [] if it is absent. Raises OSError if it cannot be listed.

    `Path.glob` leaves out what it cannot read.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        if is_absent(error):
            return []
        raise


def files_below(folder: Path, deeper: Iterable[str] = (), *, depth: int = 1) -> set[str]:
    """The files in `folder`, in the folders up to so many deep in it, and in `deeper` ones: their
    names below it, with `/`. Raises OSError if one of these cannot be listed."""
    files = set()
    waiting = [("", depth), *((PurePosixPath(path).as_posix(), 0) for path in deeper)]
    while waiting:
        path, left = waiting.pop()
        if path and not is_folder(folder / path):
            continue
        for name in names_in(folder / path):
            below = f"{path}/{name}" if path else name
            if is_file(folder / below):
                files.add(below)
            elif left:
                waiting.append((below, left - 1))
    return files


def reason_of(error: OSError) -> str:
    """What is wrong, in the system's words and without the path."""
    return error.strerror or type(error).__name__
