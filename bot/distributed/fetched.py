"""Fetched: a folder of parts that workers got from the bot, each named by its digest.

Beside each folder, a file says what is in it. It is written last: a part is there whole, or not.
Several processes may share the folder, on one machine or on a share. Only who has its lock puts
parts there or deletes them, and none that a process has marked as used.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from bot.distributed.bundles import Bundle, Member, is_folder_of, is_sound
from bot.distributed.parts import Kind, is_digest
from bot.distributed.uses import LOOK, Uses, taken
from bot.process.lock import file_lock

log = logging.getLogger(__name__)

LOCK: Final = ".lock"
DRAFT: Final = ".draft-"
"""What a folder is called while a part is put together."""
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
        self._bundles: dict[str, tuple[Note, Bundle]] = {}
        self._seen: int | None = None
        self._uses = Uses(folder)
        if folder.is_dir():
            self._tidy_at_start()

    @property
    def digests(self) -> frozenset[str]:
        """Of the parts that are there. Blocks briefly."""
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            changed = None
        if changed != self._seen:
            self._seen = changed
            self._look()
        with self._lock:
            return frozenset(self._bundles)

    def find(self, digest: str) -> tuple[Kind, Bundle] | None:
        """The part with this digest, if its files are as they were when they were checked."""
        with self._lock:
            found = known = self._bundles.get(digest)
        if found is None or not found[1].intact():
            found = self._noted(digest)  # another process may have fetched it
            with self._lock:
                if found is None:
                    self._bundles.pop(digest, None)
                else:
                    self._bundles[digest] = found
        if found is None and known is not None:
            log.warning("%s was changed: it is fetched again when needed", self._place(digest))
        # It may be about to be deleted.
        return (found[0].kind, found[1]) if found is not None and self._touch(digest) else None

    def size_of(self, digests: Collection[str]) -> int:
        """The bytes of those of these parts that are there; of a file that several have, once."""
        with self._lock:
            return _size(self._bundles[each][1] for each in digests if each in self._bundles)

    def file(self, sha256: str) -> Member | None:
        """A file of one of the parts that are there, by its own digest, if it is as it was when it
        was checked."""
        with self._lock:
            found = [
                member
                for note, bundle in self._bundles.values()
                for sent, member in zip(note.files, bundle.members, strict=True)
                if sent.sha256 == sha256
            ]
        return next((member for member in found if member.intact()), None)

    @contextmanager
    def used(self, digests: Iterable[str]) -> Iterator[None]:
        """None of these parts is deleted while the block lasts, whether or not they are there
        already."""
        marked: list[str] = []
        try:
            for digest in digests:
                self._uses.mark(digest)
                marked.append(digest)
            yield
        finally:
            for digest in marked:
                self._uses.unmark(digest)

    @contextmanager
    def alone(self, check: Callable[[], None]) -> Iterator[None]:
        """Nobody else changes the folder while the block lasts.

        check: called again and again until nobody else does; what it raises ends the waiting.
        Raises OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = file_lock(self.folder / LOCK)
        while not taken(lock, LOOK):
            check()
        try:
            self._tidy()
            yield
        finally:
            lock.release()

    # While alone

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
        draft = self.folder / f"{DRAFT}{uuid4().hex[:8]}"
        moved: dict[Path, Path] = {}
        try:
            for sent, path in files:
                target = draft / sent.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if path in moved:  # two tokenizers have the same vocabulary
                    shutil.copyfile(moved[path], target)
                else:
                    moved[path] = path.replace(target)
            self._delete(digest)
            draft.replace(self._place(digest))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        listed = tuple(sent for sent, _ in files)
        bundle = self._bundle(digest, kind, listed)
        note = Note(kind, listed, tuple(member.stamp for member in bundle.members))
        _write(self._note(digest), _NOTE.dump_json(note))
        with self._lock:
            self._bundles[digest] = note, bundle
        return bundle

    def make_room(self, size: int) -> bool:
        """Delete parts that nobody uses until `size` bytes more are within the limit; returns
        whether they are."""
        with self._lock:
            kept = {digest: bundle for digest, (_, bundle) in self._bundles.items()}
        for digest in sorted(kept, key=self._last_used):
            if _size(kept.values()) + size <= self.limit:
                break
            if self._delete_unused(digest):
                del kept[digest]
        return _size(kept.values()) + size <= self.limit

    def _tidy_at_start(self) -> None:
        """Unless another process is at it: then it has done so itself."""
        lock = file_lock(self.folder / LOCK)
        try:
            if taken(lock, 0):
                try:
                    self._tidy()
                finally:
                    lock.release()
        except OSError as error:
            log.debug("%s cannot be tidied: %s", self.folder, error.strerror)

    def _tidy(self) -> None:
        """Delete what processes have left behind that were ended, and look what there is."""
        self._look()
        for path in [*self.folder.iterdir()]:
            if path.name.startswith(DRAFT):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.endswith(".draft"):
                path.unlink(missing_ok=True)
            elif is_digest(path.name) and path.name not in self._bundles:
                self._delete_broken(path.name)
        for path in (self.folder / PARTIAL).glob("*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > PARTIAL_FOR:
                    path.unlink()

    def _delete_broken(self, digest: str) -> None:
        """Unless its files are those that somebody has open."""
        if not self._uses.has(digest):
            self._delete(digest)

    def _delete_unused(self, digest: str) -> bool:
        """Whoever marks a part looks for its note afterwards, so either this sees the mark, or they
        see that the note has gone."""
        if self._uses.has(digest):
            return False
        note, aside = self._note(digest), self._note(digest).with_suffix(".draft")
        note.replace(aside)
        if self._uses.has(digest):
            aside.replace(note)
            return False
        log.info("deleting %s to make room", self._place(digest))
        with self._lock:
            self._bundles.pop(digest, None)
        aside.unlink()
        self._delete(digest)
        return True

    def _delete(self, digest: str) -> None:
        # First, so that what is left of it does not count when the process ends here.
        self._note(digest).unlink(missing_ok=True)
        shutil.rmtree(self._place(digest), ignore_errors=True)

    # Reading

    def _look(self) -> None:
        """See what is there, which other processes may have changed."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            names = []
        except OSError as error:  # a share may be away
            log.warning("%s cannot be read: %s", self.folder, error.strerror)
            names = []
        found = {name: self._noted(name) for name in names if is_digest(name)}
        with self._lock:
            self._bundles = {name: each for name, each in found.items() if each is not None}

    def _noted(self, digest: str) -> tuple[Note, Bundle] | None:
        """A part as its note says it; None if it is not there, or not as it was."""
        try:
            note = _NOTE.validate_json(self._note(digest).read_bytes())
            bundle = self._bundle(digest, note.kind, note.files)
        except (OSError, ValueError, ValidationError):
            return None
        same = tuple(member.stamp for member in bundle.members) == note.stamps
        return (note, bundle) if same else None

    def _bundle(self, digest: str, kind: Kind, files: Sequence[SentFile]) -> Bundle:
        """Raises OSError, and ValueError for a name that may not be one."""
        if not files or not all(is_sound(sent.name) for sent in files):
            raise ValueError("names that are not allowed")
        root = self._place(digest)
        members = []
        for sent in files:
            status = (root / sent.name).stat()
            members.append(Member.of(sent.name, root / sent.name, status))
        folder = is_folder_of(kind, [sent.name for sent in files])
        return Bundle(root, tuple(members), folder=folder)

    def _place(self, digest: str) -> Path:
        return self.folder / digest

    def _note(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"

    def _touch(self, digest: str) -> bool:
        """Note that it is used now; returns whether it is still there."""
        try:
            os.utime(self._note(digest))
        except FileNotFoundError:
            return False
        except OSError as error:
            log.debug("%s: %s", digest, error.strerror)
        return True

    def _last_used(self, digest: str) -> float:
        try:
            return self._note(digest).stat().st_mtime
        except OSError:
            return 0.0


def _size(bundles: Iterable[Bundle]) -> int:
    """Of all their files, each of which may have several names."""
    files = {member.file: member.size for bundle in bundles for member in bundle.members}
    return sum(files.values())


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
