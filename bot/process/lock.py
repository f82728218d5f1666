"""Locks on a data folder. The operating system releases them when a process dies.

    bot.lock       held by the bot while it runs; a second bot refuses to start
    claims/<job>   held by a process other than the bot that accepted a job, until the job ends

A claim is taken before its job is stored, so an unfinished job whose claim is free is abandoned.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from bot.errors import StoreError
from bot.store import files_error

log = logging.getLogger(__name__)

_JOB_ID: Final = re.compile(r"[a-z0-9]{1,32}")


@contextmanager
def only_bot(data_dir: Path) -> Iterator[None]:
    """Hold the bot's lock on `data_dir` while the block lasts.

    Raises StoreError if another bot holds it, or if the folder cannot be locked.
    """
    try:
        lock = file_lock(data_dir / "bot.lock")
        lock.acquire(blocking=False)
    except Timeout:
        raise StoreError(
            f"{data_dir}: another bot runs on this folder; stop it first, or set "
            "IMAGEN_DATA_DIR to a different folder"
        ) from None
    except OSError as error:
        raise files_error(data_dir, error) from error
    except NotImplementedError as error:
        raise StoreError(f"{data_dir}: the folder cannot be locked: {error}") from error
    try:
        yield
    finally:
        lock.release()


class Claims:
    """The claims on jobs, one lock file each."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "claims"

    @contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Claim a job that is about to be stored until the block ends."""
        file = self._file(job_id)
        try:
            with file_lock(file):
                yield
        finally:
            file.unlink(missing_ok=True)

    def abandoned(self, job_id: str) -> bool:
        """Whether no living process claims the job."""
        file = self._file(job_id)
        if not file.exists():
            return True
        try:
            with file_lock(file).acquire(blocking=False):
                pass
            file.unlink(missing_ok=True)
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            log.warning("%s: cannot be checked, so its job is left alone: %s", file, error)
            return False
        return True

    def _file(self, job_id: str) -> Path:
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"not a job's id: {job_id!r}; allowed are 1 to 32 of a-z, 0-9")
        return self._folder / job_id


def file_lock(file: Path) -> FileLock:
    """A lock held by the operating system, never a mere lock file, which a crash leaves behind.

    It is not taken yet. Taking it raises Timeout, OSError, and NotImplementedError where the file
    system has no locks.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLock(file, thread_local=False, fallback_to_soft=False)
