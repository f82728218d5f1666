"""Whether all that an entry needs is here: its own files, and those that complete or replace them.

What is in the cache of the hub may be there for something else: the configurations of a model that
completes single files, or one of its networks.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from catalog.disk import files_below
from catalog.locate import Location, checkpoint_file, locate
from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    EmbeddingEntry,
    ModelEntry,
    UpscalerEntry,
)
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

Lacking: TypeAlias = Mapping[str, Collection[str]]
"""See `Catalog.lacking`."""


class Choose(Protocol):
    """The files that are read of a folder or repository with files of these `names`; empty where it
    takes a single one and there is none, or several.

    half: see `network_weights`; whether there are any does not depend on it. Raises Incomplete.
    """

    def __call__(self, names: Names, *, half: bool = True) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Needed:
    """One of the places that a model is loaded from.

    field: of its entry, which names the place or could name another. networks: of which the weights
    are read there. instead: whether they are in place of the model's own. choose: None where
    `place` says that its one file is there.
    """

    field: str
    path: str
    place: Location
    networks: tuple[str, ...] = ()
    instead: bool = False
    choose: Choose | None = None

    def whole(self) -> Location:
        """The place; a repository of which only other files are here has yet to be downloaded.

        Raises OSError.
        """
        if self.choose is None or self.place.path is None or self.place.kind == "file":
            return self.place
        try:
            here = bool(self.choose(files_below(self.place.path)))
        except Incomplete:
            here = False
        return self.place if here or self.place.kind == "folder" else Location("download")


def needed(entry: ModelEntry, models_dir: Path, lacking: Lacking) -> Iterator[Needed]:
    """Every place that a model is loaded from, its own first. Raises OSError."""
    place = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    yield from places_of_weights(entry, place, models_dir, lacking)
    if place.path is None or checkpoint_file(place, entry.weight_name):

        def config(names: Names, *, half: bool = True) -> Collection[str]:
            return config_files(names, entry.family.files)

        completing = locate(entry.completed_by, models_dir)
        yield Needed("config", entry.completed_by, completing, choose=config)


def places_of_weights(
    entry: ModelEntry, own: Location, models_dir: Path, lacking: Lacking
) -> Iterator[Needed]:
    """Those with weights: of the model's `own` files, in place of some of them, and lent to it."""
    files = entry.family.files

    def all_own(names: Names, *, half: bool = True) -> Collection[str]:
        if files.index in names:
            return pipeline_files(names, files, half=half, replaced=entry.replaced)
        alone = at_the_top(names, MODEL_SUFFIXES)
        return alone if len(alone) == 1 else ()

    networks = tuple(network for network in files.weights if network not in entry.replaced)
    choose = None if entry.weight_name else all_own
    yield Needed("path", entry.path, own, networks, choose=choose)
    for network, path in entry.replaced.items():

        def replacing(
            names: Names, *, half: bool = True, network: str = network
        ) -> Collection[str]:
            return replacing_files(names, network, files.weights[network], half=half)

        place = locate(path, models_dir)
        yield Needed(f"{network}_path", path, place, (network,), instead=True, choose=replacing)
    if lent := tuple(each for each in lacking.get(entry.key, ()) if each in networks):

        def lending(names: Names, *, half: bool = True) -> list[str]:
            return [
                name
                for network in lent
                for name in network_weights(names, f"{network}/", files.weights[network], half=half)
            ]

        place = locate(entry.lent_by, models_dir)
        yield Needed("config", entry.lent_by, place, lent, choose=lending)


def locate_entry(
    entry: ModelEntry | AdapterEntry | EmbeddingEntry | UpscalerEntry | ControlNetEntry,
    models_dir: Path,
    lacking: Lacking,
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
