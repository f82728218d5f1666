"""LiveCatalog: keeps the catalog up to date with the disk; reading it never blocks."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Never

from catalog import dropins
from catalog.disk import FileStamp, file_stamp, names_in
from catalog.dropin_controlnets import CONTROLNETS, network_folders
from catalog.dropin_embeddings import EMBEDDINGS
from catalog.headers import HeaderCache, Reading
from catalog.kept import KeptFacts
from catalog.progress import Told
from catalog.reader import (
    ADAPTERS_FILE,
    CONTROLNETS_FILE,
    EMBEDDINGS_FILE,
    MODELS_FILE,
    UPSCALERS_FILE,
    Demos,
    read_catalog,
)
from catalog.reading import Read, ReaderGone, reading_process
from catalog.search import fold
from catalog.sidecars import SUFFIXES
from catalog.snapshot import Catalog, CatalogError, CatalogUnreadable, Problem
from catalog.stamps import Stamp, stamps_now
from catalog.style_files import StyleReader
from catalog.switching import SwitchedOff, without
from catalog.unread import Unread
from catalog.upscalers import UPSCALERS
from catalog.weight_files import CONFIG_FILE
from catalog.weight_files.evidence import BESIDE_CHECKPOINTS
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.wildcard_files import WILDCARDS, WildcardReader

log = logging.getLogger(__name__)

REPORTED = 20
"""How many problems to log at most each time the catalog is read."""
BATCH: Final = 8
"""Files that are read before it is looked what to do next: a tenth of a second."""
FEW: Final = 16
"""Up to so many files are read in this process: to start another one takes as long."""
SHARE: Final = 10
"""A new snapshot is made at the earliest after so many times as long as the last one took."""
PATIENCE: Final = 1.5
"""Seconds that a request waits for files that it may mean; Discord allows three for an answer."""

_Seen = tuple[tuple[FileStamp, ...], tuple[Stamp, ...]]
_DROPINS: Final = (dropins.CHECKPOINTS, dropins.LORAS, EMBEDDINGS, UPSCALERS, CONTROLNETS)
_READ = (*MODEL_SUFFIXES, *SUFFIXES, *BESIDE_CHECKPOINTS)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that may be spent on reading files before a snapshot is made without the rest.

    adapters: on LoRAs. others: on checkpoints and embeddings, which are few. between: seconds from
    one snapshot to the next while the rest is read.
    """

    adapters: float = 0.1
    others: float = 1.0
    between: float = 3.0


class LiveCatalog:
    """Holds the last good `Catalog` and swaps in a new one when the files change.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        catalog_dir: Path,
        models_dir: Path,
        demos: Demos = "hidden",
        kept: KeptFacts | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Read the catalog for the first time. Blocks. Raises CatalogError if that fails.

        kept: where what files say is kept for the next start; None to read all of them then.
        pace: for how long unknown files are read at once, before `watch` reads the rest; None to
        read all of them at once.
        """
        self._lock = threading.Lock()
        self._pace = pace
        self._news = False
        self._demos = demos
        self._catalog_dir = catalog_dir
        self._models_dir = models_dir
        self._hub = models_dir / "hub"
        self._kept = kept
        self._headers = kept.load() if kept else HeaderCache()
        self._wildcards = WildcardReader(catalog_dir / WILDCARDS)
        self._styles = StyleReader(catalog_dir)
        self._complaint = ""
        self._seen: _Seen | None = self._stamps(), self._changed()
        self._off: SwitchedOff = ()
        self._whole = self._current = self._read(pace)
        _report(self._current.problems, ())

    @property
    def current(self) -> Catalog:
        """The last good catalog; never touches the disk."""
        return self._current

    @property
    def whole(self) -> Catalog:
        """The same with those entries enabled that were only switched off."""
        return self._whole

    def switch_off(self, entries: SwitchedOff) -> None:
        """From now on, disable exactly these entries, whatever the files say. Blocks."""
        with self._lock:
            self._off = frozenset(entries)
            self._current = without(self._whole, self._off)

    def reload(self) -> None:
        """Read the catalog now, whether or not a file has changed. Blocks.

        Raises CatalogError if it cannot be used; the last good one stays in use then.
        """
        with self._lock:
            self._news = True
            self._renew(self._pace)

    def refresh(self) -> bool:
        """Read the catalog again if a file changed, or was read meanwhile. Blocks.

        True when a new one was swapped in. If the catalog cannot be read, or offers no model any
        more, that is logged once and the last good one stays in use.
        """
        with self._lock:
            return self._refresh(self._pace)

    def read_rest(self, told: Told | None = None) -> None:
        """Read all files that are not read yet. Blocks. told: see `read_with_progress`."""
        before = self._current
        for number, one in enumerate(before.unread):
            if told:
                told(before.files_read + number, before.files)
            self._read_one(one)
        with self._lock:
            self._news |= bool(before.unread)
            self._refresh(None)

    async def knowing(self, *texts: str | None) -> Catalog:
        """The current catalog, once files not read yet are read that these texts may name.

        It is not waited for longer than PATIENCE; the rest may be unread still.
        """
        text = fold(" ".join(filter(None, texts)))
        named = [one for one in self._current.unread if one.is_named_in(text)]
        if named:
            reading = asyncio.create_task(asyncio.to_thread(self._read_now, named))
            await asyncio.wait([reading], timeout=PATIENCE)
            if reading.done():
                reading.result()
        return self._current

    async def watch(self, interval: float = 2.0) -> Never:
        """Read what is not read yet; refresh every `interval` seconds; until cancelled."""
        while True:
            try:
                if self._current.unread:
                    await self._read_in_background()
            except Exception:
                log.exception("Reading model files in the background failed")
            await asyncio.sleep(interval)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                # Whatever it is, the bot goes on with the catalog that it has.
                log.exception("Looking for changes of the catalog failed")

    async def _read_in_background(self) -> None:
        begin, told = time.monotonic(), len(self._current.unread) > FEW
        if told:
            log.info("Reading %d model files in the background", len(self._current.unread))
        async with self._reader(len(self._current.unread)) as read:
            await self._read_with(read)
        if self._current.unread:
            # What could not be read there is read now, or becomes a problem of the catalog.
            await asyncio.to_thread(self.read_rest)
        if told and not self._current.unread:
            seconds = time.monotonic() - begin
            log.info("All %d model files are read, after %.0f s", self._current.files, seconds)

    async def _read_with(self, read: Read) -> None:
        between = self._pace.between if self._pace else 0
        tried: set[Unread] = set()
        due = time.monotonic() + between
        while todo := [one for one in self._current.unread if one not in tried]:
            todo.sort(key=lambda one: one.kind == "adapter")  # the others are few
            for at in range(0, len(todo), BATCH):
                batch = todo[at : at + BATCH]
                tried.update(batch)
                await asyncio.to_thread(self._take, await read(batch))
                if time.monotonic() >= due:
                    break
            begin = time.monotonic()
            await asyncio.to_thread(self.refresh)
            took = time.monotonic() - begin
            due = time.monotonic() + max(between, SHARE * took)

    @asynccontextmanager
    async def _reader(self, count: int) -> AsyncIterator[Read]:
        """Yields what reads a batch of `count` files, if possible in another process."""
        if count <= FEW:
            yield self._read_here
            return
        try:
            async with reading_process() as read_there:
                here = False

                async def read(batch: Sequence[Unread]) -> list[Reading]:
                    nonlocal here
                    if not here:
                        try:
                            return await read_there(batch)
                        except ReaderGone as error:
                            log.warning("Reading model files in this process: %s", error)
                            here = True
                    return await self._read_here(batch)

                yield read
        except ReaderGone as error:
            log.warning("Reading model files in this process: %s", error)
            yield self._read_here

    async def _read_here(self, batch: Sequence[Unread]) -> list[Reading]:
        for one in batch:
            begin = time.monotonic()
            await asyncio.to_thread(self._read_one, one)
            # As long as it took, so that other threads have half of the time.
            await asyncio.sleep(time.monotonic() - begin)
        return []

    def _read_one(self, one: Unread) -> None:
        with self._lock:
            try:
                self._keep([*self._headers.read(one)])
            except OSError as error:
                log.debug("%s cannot be read now: %s", one.file, error)

    def _read_now(self, named: Sequence[Unread]) -> None:
        for one in named:
            self._read_one(one)
        self.refresh()

    def _take(self, readings: Sequence[Reading]) -> None:
        with self._lock:
            for reading in readings:
                self._headers.restore(reading)
            self._keep(readings)

    def _keep(self, readings: Sequence[Reading]) -> None:
        self._news = True
        if self._kept:
            self._kept.add(readings)

    def _refresh(self, pace: Pace | None) -> bool:
        try:
            return self._renew(pace)
        except CatalogUnreadable as error:
            if str(error) != self._complaint:
                log.error("Keeping the last good catalog: %s", error)
            self._complaint = str(error)
        except CatalogError as error:
            log.error("The changed catalog cannot be used, keeping the last good one: %s", error)
        return False

    def _renew(self, pace: Pace | None) -> bool:
        # Taken before reading, so that a change made meanwhile is noticed next time.
        seen = self._stamps(), self._changed()
        if seen == self._seen and not self._news:
            return False
        told, self._news = not self._news, False
        self._seen = seen
        try:
            fresh = self._read(pace)
        except CatalogUnreadable:
            self._seen = None  # nothing may change until it can be read
            raise
        if self._whole.default and not fresh.default and not fresh.unread:
            first = fresh.problems[0] if fresh.problems else "it is empty"
            raise CatalogError(f"{self._catalog_dir / MODELS_FILE} offers no model: {first}")
        self._seen, self._complaint = (seen[0], self._changed()), ""
        _report(fresh.problems, self._whole.problems)
        self._whole, self._current = fresh, without(fresh, self._off)
        if told:
            models, adapters = len(fresh.models), len(fresh.adapters)
            log.info("Catalog reloaded: %d models, %d LoRAs", models, adapters)
        return True

    def _read(self, pace: Pace | None) -> Catalog:
        """pace: None to read every file at once."""
        if pace:
            self._headers.hurry(pace.adapters, pace.others)
        else:
            self._headers.hurry(None)
        read = read_catalog(
            self._catalog_dir,
            self._models_dir,
            demos=self._demos,
            headers=self._headers,
            wildcards=self._wildcards,
            styles=self._styles,
        )
        if self._kept:
            self._kept.save(self._headers)
        return read

    def _stamps(self) -> tuple[FileStamp, ...]:
        files = (MODELS_FILE, ADAPTERS_FILE, EMBEDDINGS_FILE, UPSCALERS_FILE, CONTROLNETS_FILE)
        stamps = [file_stamp(self._catalog_dir / file) for file in files]
        for folder in _DROPINS:
            stamps += _listing(self._models_dir / folder)
        for network in self._network_folders():
            stamps += _listing(network)
        for file in self._adapter_folders():
            stamps += [file_stamp(file), file_stamp(file.with_name(CONFIG_FILE))]
        # The folder of a snapshot changes when a file is downloaded into it.
        stamps += [file_stamp(folder) for folder in self._snapshots()]
        stamps += self._wildcards.stamps()
        stamps += self._styles.stamps()
        return tuple(stamps)

    def _adapter_folders(self) -> list[Path]:
        folder = self._models_dir / dropins.LORAS
        try:
            return dropins.adapter_folders(folder, names_in(folder), [])
        except OSError:
            return []

    def _network_folders(self) -> tuple[Path, ...]:
        try:
            return network_folders(self._models_dir)
        except OSError:
            return ()

    def _snapshots(self) -> list[Path]:
        """The folders of the hub's cache that hold files; none where they cannot be listed."""
        try:
            kept = [name for name in names_in(self._hub) if name.startswith("models--")]
            folders = [self._hub / name / "snapshots" for name in kept]
            return [folder / name for folder in folders for name in names_in(folder)]
        except OSError:
            return []

    def _changed(self) -> tuple[Stamp, ...]:
        """Files outside the drop-in folders that have changed since they were read."""
        listed = {str(self._models_dir / name) for name in _DROPINS}
        known = [
            stamp for stamp in self._headers.stamps if stamp[0].rpartition(os.sep)[0] not in listed
        ]
        now = stamps_now(known)
        return tuple(stamp for stamp, before in zip(now, known, strict=True) if stamp != before)


def _listing(folder: Path) -> list[FileStamp]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                file_stamp(entry) for entry in entries if entry.name.lower().endswith(_READ)
            )
    except OSError:
        return []


def _report(problems: tuple[Problem, ...], known: tuple[Problem, ...]) -> None:
    told = set(known)
    fresh = [problem for problem in problems if problem not in told]
    for problem in fresh[:REPORTED]:
        log.warning("Catalog: %s", problem)
    if len(fresh) > REPORTED:
        rest = len(fresh) - REPORTED
        log.warning("Catalog: %d more problems; `main.py check` lists them all", rest)
