"""Fetched: a worker's own folder of parts that it got from the bot, each named by its digest.

Beside each folder, a file says what is in it. It is written last: a part is there whole, or not.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from bot.distributed.parts import (
    Bundle,
    Kind,
    Member,
    is_digest,
    is_folder_of,
    is_sound,
    stamp_of,
)

log = logging.getLogger(__name__)

PARTIAL: Final = ".partial"
"""The folder of files that are not whole yet."""
PARTIAL_FOR: Final = 7 * 24 * 3600
"""Seconds for which they are kept, to go on with them."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a part, as a worker is told of it. name: below the part's root."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a part that was fetched. stamps: of its files, when they were checked."""

    kind: Kind
    files: tuple[SentFile, ...]
    stamps: tuple[tuple[int, int], ...]


_NOTE: Final = TypeAdapter(Note)


class Fetched:
    """The folder, which is made when needed. Any thread may use it.

    limit: bytes that it may have; beyond that, what was not used for longest is deleted.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._bundles = dict(self._read())

    @property
    def digests(self) -> frozenset[str]:
        """Of the parts that are there."""
        with self._lock:
            return frozenset(self._bundles)

    def find(self, digest: str) -> tuple[Kind, Bundle] | None:
        """The part with this digest, if its files are as they were when they were checked."""
        with self._lock:
            found = self._bundles.get(digest)
        if found is None:
            return None
        if not found[1].intact():
            log.warning("%s was changed: it is fetched again when needed", self._place(digest))
            self._drop(digest)
            return None
        self._used(digest)
        return found

    def partial(self, sha256: str) -> Path:
        """Where a file is put together. Makes the folder. Raises OSError."""
        folder = self.folder / PARTIAL
        folder.mkdir(parents=True, exist_ok=True)
        return folder / sha256

    def keep(self, digest: str, kind: Kind, files: Sequence[tuple[SentFile, Path]]) -> Bundle:
        """Put the files of a part into place. Raises OSError, and ValueError for a name that may
        not be one.

        files: each with where it is; it is moved from there. They were checked.
        """
        if not is_digest(digest) or not all(is_sound(sent.name) for sent, _ in files):
            raise ValueError(f"the files of {digest[:12]} have names that are not allowed")
        draft = self.folder / f".draft-{uuid4().hex[:8]}"
        moved: dict[Path, Path] = {}
        try:
            for sent, path in files:
                target = draft / sent.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if path in moved:  # two tokenizers have the same vocabulary
                    shutil.copyfile(moved[path], target)
                else:
                    moved[path] = path.replace(target)
            self._drop(digest)
            draft.replace(self._place(digest))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        listed = tuple(sent for sent, _ in files)
        bundle = self._bundle(digest, kind, listed)
        note = Note(kind, listed, tuple(member.stamp for member in bundle.members))
        _write(self._place(digest).with_suffix(".json"), _NOTE.dump_json(note))
        with self._lock:
            self._bundles[digest] = kind, bundle
        return bundle

    def make_room(self, size: int, needed: Collection[str]) -> bool:
        """Delete parts until `size` bytes more are within the limit; returns whether they are.

        needed: the digests of those that stay.
        """
        with self._lock:
            sizes = {digest: _size(bundle) for digest, (_, bundle) in self._bundles.items()}
        total = sum(sizes.values())
        for digest in sorted(sizes.keys() - set(needed), key=self._last_used):
            if total + size <= self.limit:
                break
            log.info("deleting %s to make room", self._place(digest))
            self._drop(digest)
            total -= sizes[digest]
        return total + size <= self.limit

    def _read(self) -> Iterator[tuple[str, tuple[Kind, Bundle]]]:
        """What earlier processes have left; what is not whole is deleted."""
        try:
            names = sorted(path.name for path in self.folder.iterdir())
        except FileNotFoundError:
            return
        self._forget_partial()
        for name in names:
            if name.startswith(".draft-"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            elif is_digest(name):
                try:
                    note = _NOTE.validate_json(self._place(name).with_suffix(".json").read_bytes())
                    bundle = self._bundle(name, note.kind, note.files)
                except (OSError, ValueError, ValidationError):
                    self._delete(name)
                    continue
                if tuple(member.stamp for member in bundle.members) == note.stamps:
                    yield name, (note.kind, bundle)
                else:
                    self._delete(name)

    def _forget_partial(self) -> None:
        for path in (self.folder / PARTIAL).glob("*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > PARTIAL_FOR:
                    path.unlink()

    def _bundle(self, digest: str, kind: Kind, files: Sequence[SentFile]) -> Bundle:
        """Raises OSError, and ValueError for a name that may not be one."""
        if not files or not all(is_sound(sent.name) for sent in files):
            raise ValueError("names that are not allowed")
        root = self._place(digest)
        members = []
        for sent in files:
            status = (root / sent.name).stat()
            members.append(Member(sent.name, root / sent.name, status.st_size, stamp_of(status)))
        folder = is_folder_of(kind, [sent.name for sent in files])
        return Bundle(root, tuple(members), folder=folder)

    def _place(self, digest: str) -> Path:
        return self.folder / digest

    def _used(self, digest: str) -> None:
        try:
            os.utime(self._place(digest).with_suffix(".json"))
        except OSError as error:
            log.debug("%s: %s", digest, error.strerror)

    def _last_used(self, digest: str) -> float:
        try:
            return self._place(digest).with_suffix(".json").stat().st_mtime
        except OSError:
            return 0.0

    def _drop(self, digest: str) -> None:
        with self._lock:
            self._bundles.pop(digest, None)
        self._delete(digest)

    def _delete(self, digest: str) -> None:
        place = self._place(digest)
        # First, so that what is left of it does not count when the process ends here.
        place.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def _size(bundle: Bundle) -> int:
    return sum(member.size for member in bundle.members)


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
