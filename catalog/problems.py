"""Why the files of an entry cannot be used, for the owner."""

from pathlib import Path
from typing import Final

from catalog.disk import files_below, is_absent, is_file, is_folder, names_in, reason_of, status_of
from catalog.locate import BUILTIN, Location, builtins, locate, second_file
from catalog.presence import locate_network
from catalog.schema import AdapterEntry, EmbeddingEntry, ModelEntry
from catalog.selecting import Incomplete, at_the_top, of_one_kind, replacing_files
from catalog.weight_files import HeaderError, read_configs, read_header, read_model_header
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import INDEXES, NETWORK, folder_facts

_ADAPTERS: Final = MODEL_SUFFIXES[:1]
"""What the files of LoRAs and embeddings end in."""


def problems_of(
    entry: ModelEntry | AdapterEntry | EmbeddingEntry, models_dir: Path
) -> tuple[str, ...]:
    """Why `entry` cannot be used, one phrase per problem; empty if nothing is wrong.

    Lists folders and reads the header of a local weight file; never raises.
    """
    try:
        return _problems_of(entry, models_dir)
    except OSError as error:
        return (f"path {entry.path!r} cannot be read: {reason_of(error)}",)


def _problems_of(
    entry: ModelEntry | AdapterEntry | EmbeddingEntry, models_dir: Path
) -> tuple[str, ...]:
    found = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    adapter = isinstance(entry, AdapterEntry)
    problems = _problems_of_path(
        "path", entry.path, models_dir, found, entry.weight_name, adapter=adapter
    )
    if not isinstance(entry, ModelEntry):
        if found.kind == "folder" and found.path and entry.weight_name is None:
            problems += _problems_of_choice(found.path)
        if isinstance(entry, EmbeddingEntry) and entry.second and found.path:
            beside = second_file(found.path, entry.second)
            if found.kind != "cached" or status_of(beside):
                problems += _problems_of_file("second", beside)
        return tuple(problems)
    if found.kind == "folder" and found.path and entry.weight_name is None:
        problems += _problems_of_layout("path", found.path, *INDEXES)
        try:
            folder_facts(found.path)
        except OSError as error:
            if not is_absent(error):
                raise
    for network, path in entry.replaced.items():
        name, base = f"{network}_path", entry.family.files.weights[network]
        place = locate_network(network, path, base, models_dir)
        problems += _problems_of_path(name, path, models_dir, place, None)
        if place.kind == "folder" and place.path:
            problems += _problems_of_network(name, network, place.path, base)
    if entry.config:
        config = locate(entry.config, models_dir)
        if config.error:
            problems.append(f"config {entry.config!r} cannot be read: {reason_of(config.error)}")
        elif config.kind in {"missing", "file"}:
            problems.append(f"config must be a hub id or an existing folder, got {entry.config!r}")
        elif config.kind == "folder" and config.path:
            problems += _problems_of_layout("config", config.path, *INDEXES)
    return tuple(problems)


def _problems_of_path(
    field: str,
    path: str,
    models_dir: Path,
    found: Location,
    weight_name: str | None,
    *,
    adapter: bool = False,
) -> list[str]:
    if found.error:
        return [f"{field} {path!r} cannot be read: {reason_of(found.error)}"]
    if found.kind == "missing":
        return [f"{field} {_why_missing(path, models_dir, weight_name)}"]
    if found.kind == "file" and found.path:
        return _problems_of_file(field, found.path, adapter=adapter)
    if found.kind == "folder" and found.path and weight_name:
        return _problems_of_file("weight_name", found.path / weight_name, adapter=adapter)
    return []


def _problems_of_file(field: str, path: Path, *, adapter: bool = False) -> list[str]:
    try:
        header = read_header(path) if adapter else read_model_header(path)
        if adapter:
            read_configs(path, header.metadata)
    except HeaderError as error:
        return [f"{field} {str(path)!r} cannot be read: {error}"]
    return []


def _problems_of_choice(folder: Path) -> list[str]:
    files = of_one_kind(names_in(folder), _ADAPTERS)
    if not files:
        return [f"path {str(folder)!r} contains no .safetensors file"]
    if len(files) > 1:
        return [f"weight_name must name a file in {str(folder)!r}: {', '.join(files[:5])}"]
    return _problems_of_file("path", folder / files[0], adapter=True)


def _problems_of_layout(field: str, folder: Path, needed: str, *others: str) -> list[str]:
    """others: files that may be there instead of `needed`."""
    if any(is_file(folder / name) for name in (needed, *others)):
        return []
    return [f"{field} {str(folder)!r} contains no {needed}: it is not in diffusers layout"]


def _problems_of_network(field: str, network: str, folder: Path, base: str) -> list[str]:
    """folder: that the field names."""
    names, named = files_below(folder), f"{field} {str(folder)!r}"
    try:
        chosen = replacing_files(names, network, base, half=True)
    except Incomplete as error:
        return [f"{named} is incomplete: it lacks {error}"]
    if chosen:
        weights = (folder / name for name in chosen if name.lower().endswith(MODEL_SUFFIXES))
        return [problem for file in weights for problem in _problems_of_file(field, file)]
    files = at_the_top(names, MODEL_SUFFIXES)
    if len(files) > 1:
        return [f"{field} must name one of the files in {str(folder)!r}: {', '.join(files[:5])}"]
    lacks = "no" if NETWORK in names else f"no {NETWORK} and no"
    return [f"{named} contains {lacks} whole {' or '.join(MODEL_SUFFIXES)} file"]


def _why_missing(path: str, models_dir: Path, weight_name: str | None) -> str:
    try:
        if path.startswith(BUILTIN):
            known = ", ".join(f"{BUILTIN}{name}" for name in builtins())
            return f"must be one of {known}, got {path!r}"
        target = models_dir / Path(path).expanduser()
        if is_folder(target) and weight_name:
            return f"{str(target)!r} contains no {weight_name!r}"
        if is_file(target) and target.suffix.lower() not in MODEL_SUFFIXES:
            return f"{str(target)!r} is neither a .safetensors nor a .gguf file"
        if status_of(target):
            return f"{path!r} leads outside {str(models_dir)!r}: give an absolute path"
    except (ValueError, RuntimeError):
        pass
    else:
        return f"{str(target)!r} does not exist"
    return f"{path!r} is not a path or a hub id"
