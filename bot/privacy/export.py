"""Exporter: all that is stored of a person, as ZIP files that fit into messages.

The files are written one after the other in a thread, and each is deleted once it was sent, so that
an export takes no more disk than two of them.
"""

import asyncio
import json
import logging
import shutil
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from bot.errors import Refused
from bot.files.inputs import Inputs
from bot.store import COLUMNS, JobRows, Span, Store, now_ms

log = logging.getLogger(__name__)

T = TypeVar("T")

EXPORTS: Final = "exports"
"""The folder, in that of the data, of the files that are being sent."""
PARTS_MAX: Final = 20
"""Files of one export. What does not fit can be asked for by dates."""
AGAIN_MS: Final = 10 * 60 * 1000
"""How long a person waits between two exports."""
ENTRY_OVERHEAD: Final = 400
"""Bytes that an entry takes in a ZIP file besides its data and its name, and more to be safe."""
PAGE: Final = 200
"""Jobs in a file of rows."""

README: Final = "README.txt"
ROWS: Final = {
    "favourites": "favourites.json",
    "presets": "presets.json",
    "level_settings": "settings.json",
    "forms": "forms.json",
    "reports": "reports.json",
    "acts": "acts.json",
    "blocks": "blocks.json",
    "blocked_words": "blocked_words.json",
    "disabled_entries": "switched_off.json",
    "sent_again": "sent_again.json",
    "quota_resets": "quota_resets.json",
}
"""The files of what belongs to no job, by table."""
OF_JOBS: Final = ("jobs", "discord_jobs", "images")
"""The tables of what is in the files of jobs."""


@dataclass(frozen=True, slots=True)
class Part:
    """A ZIP file, there until the next one is asked for. number: from 1."""

    path: Path
    number: int


@dataclass(slots=True)
class Contents:
    """What has become of the images of an export.

    sent: files that are in it. pruned: images whose files were deleted earlier. too_large: names of
    files that fit into no message. unread: those that could not be read. left_out: files that did
    not fit any more.
    """

    jobs: int = 0
    sent: int = 0
    pruned: int = 0
    too_large: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    left_out: int = 0


class Exporter:
    """One export at a time for each person. folder: where the files are written."""

    def __init__(
        self,
        store: Store,
        *,
        images_dir: Path,
        inputs: Inputs,
        folder: Path,
        parts_max: int = PARTS_MAX,
    ) -> None:
        self._store = store
        self._images_dir = images_dir
        self._inputs = inputs
        self._folder = folder
        self._parts_max = parts_max
        self._running: set[str] = set()
        self._last: dict[str, int] = {}
        self._turn = asyncio.Semaphore(1)

    def clean_up(self) -> None:
        """Delete what a process that died left. Blocks."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def alone(self, person: str) -> Iterator[None]:
        """Keep others from exporting or forgetting that person while the block lasts.

        Raises Refused.
        """
        if person in self._running:
            raise Refused("export.running")
        self._running.add(person)
        try:
            yield
        finally:
            self._running.discard(person)

    def check_rested(self, person: str) -> None:
        """Raise Refused if that person's last export was just now."""
        if (ready := self._last.get(person, 0) + AGAIN_MS) > now_ms():
            raise Refused("export.again", when=ready // 1000)

    def _rests(self, person: str) -> None:
        """Note that it was just now, and forget whose rest is over."""
        now = now_ms()
        self._last = {who: at for who, at in self._last.items() if at + AGAIN_MS > now}
        self._last[person] = now

    async def parts(
        self,
        person: str,
        span: Span,
        limit: int,
        readme: Callable[[Contents], str],
        contents: Contents,
    ) -> AsyncGenerator[Part, None]:
        """The files of an export. limit: bytes of each. readme: the text for the last of them, by
        what became of the images, which is written into `contents`.

        Raises OSError, StoreError; then the person need not wait before they ask again.
        """
        folder = self._folder / uuid4().hex
        writing = _Writing(folder, limit)
        try:
            await self._work(partial(folder.mkdir, parents=True, mode=0o700))
            async for part in self._write(writing, person, span, contents):
                yield part
            text = readme(contents)
            last = {"too_large": contents.too_large, "unread": contents.unread}
            files: tuple[tuple[str, object], ...] = ((README, text), ("missing.json", last))
            for name, value in files:
                if (full := await self._work(partial(writing.add, name, value))) is not None:
                    yield full
            if (full := await self._work(writing.close)) is not None:
                yield full
            self._rests(person)
        finally:
            await asyncio.to_thread(writing.discard)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _work(self, work: Callable[[], T]) -> T:
        """`work` in a thread, one piece at a time; nobody waits while another's file is sent."""
        async with self._turn:
            return await asyncio.to_thread(work)

    async def _write(
        self, writing: "_Writing", person: str, span: Span, contents: Contents
    ) -> AsyncIterator[Part]:
        columns = {table: dict(COLUMNS[table]) for table in (*ROWS, *OF_JOBS)}
        rest = await self._store.personal.rest(person, span)
        files = {"columns.json": columns, **{ROWS[table]: rows for table, rows in rest.items()}}
        for name, value in files.items():
            if (full := await self._work(partial(writing.add, name, value))) is not None:
                yield full
        number = 0
        async for page in self._store.personal.jobs(person, span):
            contents.jobs += len(page)
            number += 1
            pages = await self._work(partial(_pages, number, page, writing.limit))
            for page_name, data in pages:
                if (full := await self._work(partial(writing.add, page_name, data))) is not None:
                    yield full
        known = set[str]()
        async for page in self._store.personal.jobs(person, span):
            for job in page:
                for name, path in await self._work(partial(self._files, job, known, contents)):
                    full = await self._work(partial(self._add, writing, name, path, contents))
                    if full is not None:
                        yield full

    def _add(self, writing: "_Writing", name: str, path: Path, contents: Contents) -> Part | None:
        """Add an image; returns the part before if it became full. Blocks."""
        if writing.number >= self._parts_max and not writing.has_room(name, path):
            contents.left_out += 1
            return None
        try:
            full = writing.add_file(name, path)
        except _TooLarge:
            contents.too_large.append(name)
            return None
        except OSError as error:
            log.warning("%s: not exported: %s", path.name, error.strerror)
            contents.unread.append(name)
            return None
        contents.sent += 1
        return full

    def _files(self, rows: JobRows, known: set[str], contents: Contents) -> list[tuple[str, Path]]:
        """The images of a job and those that it was made from: names in the export, and files.

        Blocks.
        """
        root = self._images_dir.resolve()
        found = []
        for image in rows.images:
            path = (root / image["path"]).resolve()
            if image["pruned_at"] is not None or not path.is_relative_to(root):
                contents.pruned += 1
                continue
            found.append((f"images/{rows.job['id']}/{path.name}", path))
        for sha256 in rows.inputs:
            try:
                path = self._inputs.path(sha256)
            except ValueError:
                continue
            if sha256 not in known:
                known.add(sha256)
                found.append((f"inputs/{path.name}", path))
        return found


class _TooLarge(Exception):
    """A file that fits into no part."""


class _Writing:
    """The part that is being written. All but `has_room` block; `add` and `add_file` return the
    part before if it became full."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.limit = limit
        self.number = 0
        self._folder = folder
        self._zip: ZipFile | None = None
        self._path = folder
        self._size = 0
        self._closed: list[Path] = []

    def has_room(self, name: str, path: Path) -> bool:
        try:
            return self._size + path.stat().st_size + _overhead(name) <= self.limit
        except OSError:
            return True

    def add(self, name: str, value: object) -> Part | None:
        """value: bytes, text, or what becomes JSON."""
        data = value if isinstance(value, bytes) else _encoded(value)
        size = len(zlib.compress(data)) + _overhead(name)
        full = self._make_room(size)
        self._open().writestr(name, data, ZIP_DEFLATED)
        self._size += size
        return full

    def add_file(self, name: str, path: Path) -> Part | None:
        """Raises _TooLarge, OSError."""
        size = path.stat().st_size + _overhead(name)
        if size > self.limit:
            raise _TooLarge
        full = self._make_room(size)
        self._open().write(path, name, ZIP_STORED)  # a PNG is compressed
        self._size += size
        return full

    def close(self) -> Part | None:
        """Finish the part; None if there is none."""
        if self._zip is None:
            return None
        self._zip.close()
        self._zip = None
        self._closed.append(self._path)
        return Part(self._path, self.number)

    def discard(self) -> None:
        if self._zip is not None:
            self._zip.close()
            self._zip = None

    def _make_room(self, size: int) -> Part | None:
        return self.close() if self._zip is not None and self._size + size > self.limit else None

    def _open(self) -> ZipFile:
        if self._zip is None:
            # The one before this one is yet to be sent.
            while len(self._closed) > 1:
                self._closed.pop(0).unlink(missing_ok=True)
            self.number += 1
            self._size = _overhead("")
            self._path = self._folder / f"export-{self.number}.zip"
            self._zip = ZipFile(self._path, "w")
        return self._zip


def _overhead(name: str) -> int:
    return ENTRY_OVERHEAD + 2 * len(name.encode())


def _encoded(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _pages(number: int, rows: Sequence[JobRows], limit: int) -> list[tuple[str, bytes]]:
    """The files for these rows: one, or several where it would be larger than a part."""
    data = _encoded([each.record() for each in rows])
    if len(rows) == 1 or len(zlib.compress(data)) + ENTRY_OVERHEAD * 2 <= limit:
        return [(f"jobs/{number:05}.json", data)]
    half = len(rows) // 2
    halves = (rows[:half], rows[half:])
    return [
        (f"{name.removesuffix('.json')}-{n}.json", part)
        for n, each in enumerate(halves, 1)
        for name, part in _pages(number, each, limit)
    ]
