"""Whether all that an entry needs is here: its weights, those of other files, configurations."""

from pathlib import Path

from catalog.disk import files_below
from catalog.locate import Location, locate
from catalog.schema import AdapterEntry, EmbeddingEntry, ModelEntry
from catalog.selecting import Incomplete, replacing_files
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import configurations


def locate_entry(entry: ModelEntry | AdapterEntry | EmbeddingEntry, models_dir: Path) -> Location:
    """Where everything that `entry` needs is: its weights and, for a model, the networks that
    replace its own and its configuration.

    Returns the location of the weights, unless something else is missing or not downloaded yet.
    """
    weights = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    others = []
    if isinstance(entry, ModelEntry):
        single = weights.kind == "file" or entry.weight_name is not None
        bases = entry.family.files.weights
        others = [
            locate_network(network, path, bases[network], models_dir)
            for network, path in entry.replaced.items()
        ]
        others += [locate(path, models_dir) for path in (entry.completing if single else ())]
    for kind in ("unreadable", "missing", "download"):
        for found in (weights, *others):
            if found.kind == kind:
                return found
    return weights


def locate_network(network: str, path: str, base: str, models_dir: Path) -> Location:
    """What the `path` of a network that replaces a model's own refers to: a repository of which
    only other files are here has yet to be downloaded. Never raises.

    base: see `network_weights`.
    """
    place = locate(path, models_dir)
    if place.kind not in {"folder", "cached"}:
        return place
    try:
        _, weights = network_files(network, place, base)
    except OSError as error:
        return Location("unreadable", error=error)
    return place if weights or place.kind == "folder" else Location("download")


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
