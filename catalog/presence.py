"""Whether all that an entry needs is here: its own files, and those that complete or replace them.

What is in the cache of the hub may be there for something else: the configurations of a model that
completes single files, or one of its networks.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from catalog.disk import files_below
from catalog.locate import Location, checkpoint_file, locate
from catalog.schema import AdapterEntry, EmbeddingEntry, ModelEntry
from catalog.selecting import (
    Incomplete,
    Names,
    at_the_top,
    config_files,
    network_weights,
    pipeline_files,
    replacing_files,
)
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import configurations

Lacking: TypeAlias = Mapping[str, Collection[str]]
"""See `Catalog.lacking`."""


@dataclass(frozen=True, slots=True)
class Needed:
    """One of the places that a model is loaded from.

    field: of its entry, which names the place or could name another. files: those of a folder's or
    repository's that are read; empty where it takes a single one and there is none, or several.
    Raises Incomplete. None where `place` says that they are there.
    """

    field: str
    path: str
    place: Location
    files: Callable[[Names], Collection[str]] | None = None

    def whole(self) -> Location:
        """The place; a repository of which only other files are here has yet to be downloaded.

        Raises OSError.
        """
        if self.files is None or self.place.path is None or self.place.kind == "file":
            return self.place
        try:
            here = bool(self.files(files_below(self.place.path)))
        except Incomplete:
            here = False
        return self.place if here or self.place.kind == "folder" else Location("download")


def needed(entry: ModelEntry, models_dir: Path, lacking: Lacking) -> Iterator[Needed]:
    """Every place that a model is loaded from, its own first. Raises OSError."""
    files = entry.family.files

    def own(names: Names) -> Collection[str]:
        if files.index in names:
            return pipeline_files(names, files, half=True, replaced=entry.replaced)
        return at_the_top(names, MODEL_SUFFIXES)

    place = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    yield Needed("path", entry.path, place, None if entry.weight_name else own)
    for network, path in entry.replaced.items():

        def replacing(names: Names, network: str = network) -> Collection[str]:
            return replacing_files(names, network, files.weights[network], half=True)

        yield Needed(f"{network}_path", path, locate(path, models_dir), replacing)
    if place.path and checkpoint_file(place, entry.weight_name) is None:
        return  # nothing has to complete it
    lent = [name for name in lacking.get(entry.key, ()) if name not in entry.replaced]

    def weights(names: Names) -> list[str]:
        return [
            name
            for network in lent
            for name in network_weights(names, f"{network}/", files.weights[network], half=True)
        ]

    def config(names: Names) -> Collection[str]:
        beside = weights(names) if entry.lent_by == entry.completed_by else []
        return [*config_files(names, files), *beside]

    yield Needed("config", entry.completed_by, locate(entry.completed_by, models_dir), config)
    if lent and entry.lent_by != entry.completed_by:
        yield Needed("config", entry.lent_by, locate(entry.lent_by, models_dir), weights)


def locate_entry(
    entry: ModelEntry | AdapterEntry | EmbeddingEntry, models_dir: Path, lacking: Lacking
) -> Location:
    """Where everything that `entry` needs is. Only lists folders; never raises.

    Returns the location of its own files, unless something else is missing or not downloaded yet.
    """
    own = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    if not isinstance(entry, ModelEntry):
        return own
    try:
        places = [each.whole() for each in needed(entry, models_dir, lacking)]
    except OSError as error:
        return Location("unreadable", error=error)
    for kind in ("unreadable", "missing", "download"):
        for found in places:
            if found.kind == kind:
                return found
    return own


def network_files(network: str, place: Location, base: str) -> tuple[Path | None, tuple[Path, ...]]:
    """The configuration and the weights of a network that replaces a model's own, each as far as it
    is here: the weights are all that is read of them, or none where something is missing.

    base: see `network_weights`. Raises OSError.
    """
    if place.kind == "file" or place.path is None:
        return None, (place.path,) if place.path else ()
    names = files_below(place.path)
    try:
        chosen = replacing_files(names, network, base, half=True)
    except Incomplete:
        chosen = ()
    known = (name for name in configurations(network) if name in (chosen or names))
    config = next(known, None)
    weights = tuple(place.path / n for n in chosen if n.lower().endswith(MODEL_SUFFIXES))
    return (place.path / config if config else None), weights
