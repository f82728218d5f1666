"""Who works on a data folder. The operating system takes these locks back when a process dies.

    bot.lock       held by the bot for as long as it runs; a second one refuses to start
    claims/<job>   held by the process that accepted a job and is not the bot, until the job ended

A claim is taken before its job is stored, so an unfinished job whose claim is free was left behind.
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
    """Be the one bot of `data_dir` while the block lasts.

    Raises StoreError when another one is, or when the folder cannot be locked.
    """
    try:
        lock = _lock(data_dir / "bot.lock")
        lock.acquire(blocking=False)
    except Timeout:
        raise StoreError(
            f"{data_dir}: another bot runs on this folder; stop that one first, or set "
            "IMAGEN_DATA_DIR to a folder of its own"
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
    """The claims on single jobs, in a folder of their own."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "claims"

    @contextmanager
    def held(self, job_id: str) -> Iterator[None]:
        """Claim a job that is about to be stored, and answer for it until the block ends."""
        file = self._file(job_id)
        try:
            with _lock(file):
                yield
        finally:
            file.unlink(missing_ok=True)

    def abandoned(self, job_id: str) -> bool:
        """Whether no living process claims the job."""
        file = self._file(job_id)
        if not file.exists():
            return True
        try:
            with _lock(file).acquire(blocking=False):
                pass
            file.unlink(missing_ok=True)
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            log.warning("%s: cannot be looked at, so its job is left alone: %s", file, error)
            return False
        return True

    def _file(self, job_id: str) -> Path:
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"not a job's id: {job_id!r}")
        return self._folder / job_id


def _lock(file: Path) -> FileLock:
    """A lock of the operating system; never one that only means something to who looks for it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, thread_local=False, fallback_to_soft=False)
