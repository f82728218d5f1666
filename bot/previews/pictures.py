"""Pictures: finds the preview of each entry, and keeps the painted ones.

A picture beside the weight file wins, named as other programs name it. Painted ones are in a folder
of their own, as `<shelf>/<key>@<stamp of the weights>@<digest of the prompt>.webp`, or with
`@unchecked` at the end of the name if the image check has not found them to be for everyone.
"""

import asyncio
import hashlib
import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from bot.files.atomic import write_whole
from bot.previews.thumbnail import Unusable, read, thumbnail
from bot.previews.weights import Entry, weights_of
from catalog.weight_files.gguf import MODEL_SUFFIXES

log = logging.getLogger(__name__)

PAINTED_MAX: Final = 5_000
"""Painted pictures that are kept: about 150 MB."""
CACHED_MAX: Final = 200
"""Pictures in memory: about 6 MB."""
SUFFIXES: Final = (".png", ".jpeg", ".jpg", ".webp")
_OWN: Final = tuple(f"{middle}{suffix}" for middle in (".preview", "") for suffix in SUFFIXES)
"""What replaces the ending of a weight file in the name of an own picture, the first that is there
counts."""

_UNCHECKED: Final = "@unchecked"


class Shelf(StrEnum):
    """What pictures are of, and the folders of painted ones."""

    MODELS = "models"
    LORAS = "loras"
    EMBEDDINGS = "embeddings"


class Pictures:
    """folder: of the painted pictures; made when needed. Methods may be called from any thread."""

    def __init__(self, models_dir: Path, folder: Path) -> None:
        self._models_dir = models_dir
        self._folder = folder
        self._lock = threading.Lock()
        self._painted: dict[Shelf, dict[str, list[Path]]] = {}
        self._cached: OrderedDict[tuple[Path, int, int], bytes | None] = OrderedDict()

    async def of(
        self, shelf: Shelf, entries: Sequence[Entry], *, checked: bool
    ) -> dict[str, bytes]:
        """The previews of `entries` by key, as small WebP files; without those that have none.

        checked: without those that were painted and not found to be for everyone.
        """
        return await asyncio.to_thread(self._all_of, shelf, entries, checked)

    def _all_of(self, shelf: Shelf, entries: Sequence[Entry], checked: bool) -> dict[str, bytes]:
        found = ((entry.key, self.picture(shelf, entry, checked=checked)) for entry in entries)
        return {key: data for key, data in found if data is not None}

    def picture(self, shelf: Shelf, entry: Entry, *, checked: bool = False) -> bytes | None:
        """The preview of one entry, see `of`. Blocks."""
        weights = weights_of(entry, self._models_dir)
        if weights is None:
            return None
        for own in self._beside(weights.path):
            if (data := self._load(own, own=True)) is not None:
                return data
        for painted in self._of_key(shelf, entry.key):
            if _parts(painted)[1] == weights.stamp and not (checked and _is_unchecked(painted)):
                return self._load(painted, own=False)
        return None

    def lacks(self, shelf: Shelf, entry: Entry, prompt: str, *, checked: bool = False) -> bool:
        """Whether one is to be painted: its files are here, and nothing shows them. Blocks.

        checked: one that was not found to be for everyone does not count.
        """
        weights = weights_of(entry, self._models_dir)
        if weights is None or self._beside(weights.path):
            return False
        wanted = {_name(entry.key, weights.stamp, prompt, checked=True)}
        if not checked:
            wanted.add(_name(entry.key, weights.stamp, prompt, checked=False))
        return all(path.name not in wanted for path in self._of_key(shelf, entry.key))

    def keep(
        self, shelf: Shelf, entry: Entry, prompt: str, data: bytes, *, checked: bool = False
    ) -> None:
        """Keep what was painted for an entry, in place of what was there. Blocks.

        checked: whether it was found to be for everyone. Raises Unusable if it is no picture or too
        many are kept, and OSError.
        """
        weights = weights_of(entry, self._models_dir)
        if weights is None:
            raise Unusable("its weights are gone")
        before = self._of_key(shelf, entry.key)
        if not before and self._count() >= PAINTED_MAX:
            raise Unusable(f"{PAINTED_MAX} preview pictures are kept already")
        path = self._folder / shelf / _name(entry.key, weights.stamp, prompt, checked=checked)
        small = thumbnail(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, small)
        with self._lock:
            self._known(shelf)[entry.key] = [path]
        _unlink(other for other in before if other != path)

    def tidy(self, entries: Mapping[Shelf, Iterable[Entry]]) -> None:
        """Delete painted pictures of entries that are gone, or whose files have changed. Blocks."""
        for shelf, known in entries.items():
            stamps = {entry.key: weights_of(entry, self._models_dir) for entry in known}
            gone = []
            with self._lock:
                kept = self._known(shelf)
                for key, paths in [*kept.items()]:
                    weights = stamps.get(key)
                    stamp = weights.stamp if weights else None
                    gone += [path for path in paths if _parts(path)[1] != stamp]
                    kept[key] = [path for path in paths if _parts(path)[1] == stamp]
            _unlink(gone)

    def _beside(self, weights: Path) -> list[Path]:
        """The owner's pictures of a weight file or folder in the models folder."""
        stem = weights.stem if weights.suffix.lower() in MODEL_SUFFIXES else weights.name
        found = []
        for suffix in _OWN:
            path = weights.with_name(stem + suffix)
            if path.exists() and path.resolve().is_relative_to(self._models_dir.resolve()):
                found.append(path)
        return found

    def _load(self, path: Path, *, own: bool) -> bytes | None:
        """The picture in a file; None if it cannot be shown, which is logged once."""
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = path, status.st_size, status.st_mtime_ns
        with self._lock:
            if stamp in self._cached:
                self._cached.move_to_end(stamp)
                return self._cached[stamp]
        data: bytes | None = None
        try:
            data = thumbnail(read(path)) if own else read(path)
        except Unusable as error:
            log.warning("%s: this preview cannot be shown: %s", path, error)
        with self._lock:
            self._cached[stamp] = data
            if len(self._cached) > CACHED_MAX:
                self._cached.popitem(last=False)
        return data

    def _of_key(self, shelf: Shelf, key: str) -> list[Path]:
        with self._lock:
            return [*self._known(shelf).get(key, ())]

    def _count(self) -> int:
        with self._lock:
            return sum(len(paths) for shelf in Shelf for paths in self._known(shelf).values())

    def _known(self, shelf: Shelf) -> dict[str, list[Path]]:
        """The painted pictures by key; the folder is listed once."""
        if shelf not in self._painted:
            found = defaultdict(list)
            folder = self._folder / shelf
            try:
                for path in folder.iterdir():
                    if path.suffix == ".webp" and path.name.count("@") in (2, 3):
                        found[_parts(path)[0]].append(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                log.warning("%s: the previews cannot be listed: %s", folder, error.strerror)
            self._painted[shelf] = dict(found)
        return self._painted[shelf]


def _name(key: str, stamp: str, prompt: str, *, checked: bool) -> str:
    digest = hashlib.blake2b(prompt.encode(), digest_size=4).hexdigest()
    return f"{key}@{stamp}@{digest}{'' if checked else _UNCHECKED}.webp"


def _is_unchecked(path: Path) -> bool:
    return path.stem.endswith(_UNCHECKED)


def _parts(path: Path) -> list[str]:
    return path.stem.split("@")


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: an old preview cannot be deleted: %s", path, error.strerror)
