"""LiveCatalog: keeps the catalog up to date with the disk; reading it never blocks."""

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Never

from catalog import dropins
from catalog.disk import names_in
from catalog.dropin_embeddings import EMBEDDINGS
from catalog.headers import HeaderCache, Stamp, stamps_now
from catalog.kept import KeptFacts
from catalog.reader import ADAPTERS_FILE, EMBEDDINGS_FILE, MODELS_FILE, Demos, read_catalog
from catalog.sidecars import SUFFIXES
from catalog.snapshot import Catalog, CatalogError, CatalogUnreadable, Problem
from catalog.weight_files import CONFIG_FILE
from catalog.weight_files.evidence import BESIDE_CHECKPOINTS

log = logging.getLogger(__name__)

REPORTED = 20
"""How many problems to log at most each time the catalog is read."""

_Stamp = tuple[str, int, int, int]
_Seen = tuple[tuple[_Stamp, ...], tuple[Stamp, ...]]
_READ = (".safetensors", *SUFFIXES, *BESIDE_CHECKPOINTS)


class LiveCatalog:
    """Holds the last good `Catalog` and swaps in a new one when the files change.

    Any thread may read `current` and call `refresh`.
    """

    def __init__(
        self,
        catalog_dir: Path,
        models_dir: Path,
        demos: Demos = "hidden",
        kept: KeptFacts | None = None,
    ) -> None:
        """Read the catalog for the first time. Blocks. Raises CatalogError if that fails.

        kept: where what files say is kept for the next start; None to read all of them then.
        """
        self._demos = demos
        self._catalog_dir = catalog_dir
        self._models_dir = models_dir
        self._hub = models_dir / "hub"
        self._kept = kept
        self._headers = kept.load() if kept else HeaderCache()
        self._refreshing = threading.Lock()
        self._complaint = ""
        self._seen: _Seen | None = self._stamps(), self._changed()
        self._current = self._read()
        _report(self._current.problems, ())

    @property
    def current(self) -> Catalog:
        """The last good catalog; never touches the disk."""
        return self._current

    def refresh(self) -> bool:
        """Read the catalog again if a file changed. Blocks; True when a new one was swapped in.

        If the catalog cannot be read, or offers no model any more, that is logged once and the last
        good one stays in use.
        """
        with self._refreshing:
            return self._refresh()

    def _refresh(self) -> bool:
        # Taken before reading, so that a change made meanwhile is noticed next time.
        seen = self._stamps(), self._changed()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            fresh = self._read()
            if self._current.default and not fresh.default:
                first = fresh.problems[0] if fresh.problems else "it is empty"
                raise CatalogError(f"{self._catalog_dir / MODELS_FILE} offers no model: {first}")
        except CatalogUnreadable as error:
            self._seen = None  # nothing may change until it can be read
            if str(error) != self._complaint:
                log.error("Keeping the last good catalog: %s", error)
            self._complaint = str(error)
            return False
        except CatalogError as error:
            log.error("The changed catalog cannot be used, keeping the last good one: %s", error)
            return False
        self._seen, self._complaint = (seen[0], self._changed()), ""
        _report(fresh.problems, self._current.problems)
        self._current = fresh
        log.info("Catalog reloaded: %d models, %d LoRAs", len(fresh.models), len(fresh.adapters))
        return True

    async def watch(self, interval: float = 2.0) -> Never:
        """Refresh every `interval` seconds, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                # Whatever it is, the bot goes on with the catalog that it has.
                log.exception("Looking for changes of the catalog failed")

    def _read(self) -> Catalog:
        read = read_catalog(
            self._catalog_dir, self._models_dir, demos=self._demos, headers=self._headers
        )
        if self._kept:
            self._kept.save(self._headers)
        return read

    def _stamps(self) -> tuple[_Stamp, ...]:
        files = (MODELS_FILE, ADAPTERS_FILE, EMBEDDINGS_FILE)
        stamps = [_stamp(self._catalog_dir / file) for file in files]
        for folder in (dropins.CHECKPOINTS, dropins.LORAS, EMBEDDINGS):
            stamps += _listing(self._models_dir / folder)
        for file in self._adapter_folders():
            stamps += [_stamp(file), _stamp(file.with_name(CONFIG_FILE))]
        # The folder of a snapshot changes when a file is downloaded into it.
        stamps += [_stamp(folder) for folder in self._snapshots()]
        return tuple(stamps)

    def _adapter_folders(self) -> list[Path]:
        folder = self._models_dir / dropins.LORAS
        try:
            return dropins.adapter_folders(folder, names_in(folder), [])
        except OSError:
            return []

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
        folders = (dropins.LORAS, dropins.CHECKPOINTS, EMBEDDINGS)
        listed = {str(self._models_dir / name) for name in folders}
        known = [
            stamp for stamp in self._headers.stamps if stamp[0].rpartition(os.sep)[0] not in listed
        ]
        now = stamps_now(known)
        return tuple(stamp for stamp, before in zip(now, known, strict=True) if stamp != before)


def _stamp(file: Path | os.DirEntry[str]) -> _Stamp:
    path = os.fspath(file)
    try:
        status = file.stat()
    except OSError:
        return (path, -1, -1, -1)
    return (path, status.st_size, status.st_mtime_ns, status.st_ino)


def _listing(folder: Path) -> list[_Stamp]:
    try:
        with os.scandir(folder) as entries:
            return sorted(_stamp(entry) for entry in entries if entry.name.lower().endswith(_READ))
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
