"""Downloads from the Hugging Face Hub into the cache below the models folder."""

import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from filelock import FileLock, Timeout
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling

from bot.engine.subject import Subject
from bot.progress import Stage
from catalog.disk import is_scarce, passing_fault

log = logging.getLogger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks at what another engine is downloading."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Hub:
    """One hub and its cache, in the layout of huggingface_hub.

    endpoint: base URL of another hub, for tests; None: huggingface.co or `HF_ENDPOINT`.
    token: access token; None: that of the `hf` command's login, if there is one.
    """

    def __init__(self, cache: Path, endpoint: str | None = None, token: str | None = None) -> None:
        self._cache = cache
        self._endpoint = endpoint
        self._token = token

    def fetch(
        self,
        repository: str,
        revision: str | None,
        select: Callable[[Collection[str]], tuple[str, ...]],
        subject: Subject,
    ) -> tuple[Path, tuple[str, ...]]:
        """Download the repository files that `select` chooses, unless they are there.

        Returns the snapshot's folder and the chosen names. Every file comes from the one commit
        that `revision` (default: main) stands for now. Raises JobFailed, OSError if something is
        scarce, or what `select` and `subject.check_stop` raise.
        """
        try:
            found = HfApi(endpoint=self._endpoint, token=self._token).model_info(
                repository, revision=revision, files_metadata=True
            )
            files = {file.rfilename: file for file in found.siblings or ()}
            sizes = {name: file.size or 0 for name, file in files.items()}
            chosen = select(sizes)
            commit = str(found.sha)
            total, done = max(sum(sizes[name] for name in chosen), 1), 0
            with self._alone(repository, total, subject):
                for name in chosen:
                    subject.tick(Stage.DOWNLOADING, done / total)
                    self._share(repository, files[name])
                    path = hf_hub_download(
                        repository,
                        name,
                        revision=commit,
                        cache_dir=self._cache,
                        endpoint=self._endpoint,
                        token=self._token,
                        tqdm_class=_meter(subject, done, total),
                    )
                    done += sizes[name]
        except GatedRepoError:
            raise subject.failed(
                "model.gated",
                "adapter.gated",
                "embedding.gated",
                "upscaler.gated",
                "reference.gated",
                "control.gated",
                "depth.gated",
                "pose.gated",
                "detector.gated",
                "describer.gated",
                path=repository,
            ) from None
        except (RepositoryNotFoundError, RevisionNotFoundError):
            raise subject.failed(
                "model.not_on_hub",
                "adapter.not_on_hub",
                "embedding.not_on_hub",
                "upscaler.not_on_hub",
                "reference.not_on_hub",
                "control.not_on_hub",
                "depth.not_on_hub",
                "pose.not_on_hub",
                "detector.not_on_hub",
                "describer.not_on_hub",
                path=repository,
            ) from None
        except (
            httpx2.HTTPError,
            HfHubHTTPError,
            LocalEntryNotFoundError,  # raised when the network fails and nothing is cached
            ConnectionError,
            TimeoutError,
        ) as error:
            if (fault := passing_fault(error)) and is_scarce(fault):
                raise fault from error
            unreached = subject.failed(
                "model.unreachable",
                "adapter.unreachable",
                "embedding.unreachable",
                "upscaler.unreachable",
                "reference.unreachable",
                "control.unreachable",
                "depth.unreachable",
                "pose.unreachable",
                "detector.unreachable",
                "describer.unreachable",
                path=repository,
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise subject.failed(
                "model.download_failed",
                "adapter.download_failed",
                "embedding.download_failed",
                "upscaler.download_failed",
                "control.download_failed",
                "depth.download_failed",
                "pose.download_failed",
                "detector.download_failed",
                "describer.download_failed",
                "reference.download_failed",
                path=repository,
                reason=reason,
            ) from error
        else:
            snapshot = Path(path).parents[name.count("/")]
            self._remember(snapshot, revision or "main")
            return snapshot, chosen
        # Without the network's error as its cause, which would pass for one of a file.
        raise unreached

    @contextmanager
    def _alone(self, repository: str, total: int, subject: Subject) -> Iterator[None]:
        """Download from `repository` in no other engine while the block lasts.

        huggingface_hub would wait for the other as well, but say nothing meanwhile, so that the job
        could not be stopped and would count as hung. total: bytes that are to be there.
        """
        name = _folder(repository)
        file = self._cache / ".locks" / name / "download.lock"
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, thread_local=False, fallback_to_soft=False)
        while not lock.is_locked:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                there = sum(_size(blob) for blob in (self._cache / name / "blobs").glob("*"))
                subject.tick(Stage.DOWNLOADING, min(1.0, there / total))
                time.sleep(LOOK)
            except NotImplementedError:  # this file system has no locks
                break
        try:
            yield
        finally:
            lock.release()

    def _share(self, repository: str, file: RepoSibling) -> None:
        """Have the file without downloading it if another repository's is the same: the hub knows
        large ones by their sha256, and the cache names them after it."""
        sha256 = file.lfs.sha256 if file.lfs else ""
        blob = self._cache / _folder(repository) / "blobs" / sha256
        if not _SHA256.fullmatch(sha256) or blob.exists():
            return
        for other in self._cache.glob(f"models--*/blobs/{sha256}"):
            if _size(other) == file.size:
                blob.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(other, blob)  # so either repository can be deleted
                except OSError as error:  # such as of a file system without links
                    log.info("%s is downloaded again: %s", file.rfilename, error.strerror)
                return

    def _remember(self, snapshot: Path, revision: str) -> None:
        """Record which snapshot a branch or tag stands for, so that it is found offline."""
        reference = snapshot.parents[1] / "refs" / revision
        if revision != snapshot.name and ".." not in revision:
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(snapshot.name, encoding="ascii")


def _folder(repository: str) -> str:
    """Its folder in the cache."""
    return f"models--{repository.replace('/', '--')}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was renamed just now
        return 0


def _meter(subject: Subject, before: int, total: int) -> Any:
    """A tqdm class for `hf_hub_download` that reports progress and may stop the download."""

    class Meter:
        def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
            self._bytes = initial

        def update(self, count: int) -> None:
            self._bytes += count
            subject.tick(Stage.DOWNLOADING, (before + self._bytes) / total)

        def __enter__(self) -> "Meter":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            pass

    return Meter
