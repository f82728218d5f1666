"""By what a painted picture is told to be of the files that an entry has now."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from catalog import AdapterEntry, EmbeddingEntry, ModelEntry, locate
from catalog.locate import weight_file
from catalog.weight_files.gguf import MODEL_SUFFIXES

Entry = ModelEntry | AdapterEntry | EmbeddingEntry

FILES_MAX: Final = 64
"""Files of a model in a folder that are looked at."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight file of an entry, or its folder. stamp: changes with their content."""

    path: Path
    stamp: str


def weights_of(entry: Entry, models_dir: Path) -> Weights | None:
    """None where they are not on this machine. Looks at the disk; never raises."""
    place = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    if place.path is None:
        return None
    try:
        suffixes = MODEL_SUFFIXES if isinstance(entry, ModelEntry) else MODEL_SUFFIXES[:1]
        file = weight_file(place, entry.weight_name, suffixes)
        path = place.path if file is None else file
        stamps = sorted(_stamps(path))
    except OSError:
        return None
    digest = hashlib.blake2b(repr(stamps).encode(), digest_size=6)
    return Weights(path, digest.hexdigest())


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    files = islice(path.rglob("*.safetensors"), FILES_MAX) if path.is_dir() else (path,)
    for file in files:
        status = file.stat()
        yield file.name, status.st_size, status.st_mtime_ns
