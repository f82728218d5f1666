"""Why the files of an entry cannot be used, for the owner."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from catalog.disk import files_below, is_absent, is_file, is_folder, names_in, reason_of, status_of
from catalog.families.files import INDEX
from catalog.locate import BUILTIN, Location, builtins, locate, second_file
from catalog.presence import Lacking, Needed, needed
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
    model_inside,
    network_inside,
    of_one_kind,
    pipeline_files,
    single_files,
)
from catalog.weight_files import HeaderError, read_configs, read_header, read_model_header
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import INDEXES, NETWORK, FolderFacts, folder_facts

_ADAPTERS: Final = MODEL_SUFFIXES[:1]
"""What the files of LoRAs and embeddings end in."""


def problems_of(
    entry: ModelEntry | AdapterEntry | EmbeddingEntry | UpscalerEntry | ControlNetEntry,
    models_dir: Path,
    lacking: Lacking,
) -> tuple[str, ...]:
    """Why `entry` cannot be used, one phrase per problem; empty if nothing is wrong.

    Lists folders and reads the header of a local weight file; never raises.
    """
    try:
        if isinstance(entry, ModelEntry):
            return tuple(dict.fromkeys(_problems_of_model(entry, models_dir, lacking)))
        return tuple(_problems_of_other(entry, models_dir))
    except OSError as error:
        return (f"path {entry.path!r} cannot be read: {reason_of(error)}",)


def _problems_of_other(
    entry: AdapterEntry | EmbeddingEntry | UpscalerEntry | ControlNetEntry, models_dir: Path
) -> list[str]:
    found = locate(entry.path, models_dir, entry.weight_name, entry.revision)
    adapter = isinstance(entry, AdapterEntry)
    problems = _problems_of_path(
        "path", entry.path, models_dir, found, entry.weight_name, adapter=adapter
    )
    if found.kind == "folder" and found.path and entry.weight_name is None:
        problems += _problems_of_choice(found.path)
    if isinstance(entry, EmbeddingEntry) and entry.second and found.path:
        beside = second_file(found.path, entry.second)
        if found.kind != "cached" or status_of(beside):
            problems += _problems_of_file("second", beside)
    return problems


def _problems_of_model(entry: ModelEntry, models_dir: Path, lacking: Lacking) -> Iterator[str]:
    for each in needed(entry, models_dir, lacking):
        try:
            yield from _problems_of_place(entry, each, models_dir)
        except OSError as error:
            yield f"{each.field} {each.path!r} cannot be read: {reason_of(error)}"
        except Incomplete as error:
            yield f"{each.field} {str(each.place.path)!r} is incomplete: it lacks {error}"


def _problems_of_place(entry: ModelEntry, each: Needed, models_dir: Path) -> list[str]:
    """Raises Incomplete, and OSError."""
    place, own = each.whole(), each.field == "path"
    if each.field == "config" and place.kind in {"missing", "file"}:
        return [f"config must be a hub id or an existing folder, got {each.path!r}"]
    name = entry.weight_name if own else None
    problems = _problems_of_path(each.field, each.path, models_dir, place, name)
    if place.kind != "folder" or place.path is None or each.choose is None:
        return problems
    names = files_below(place.path)
    if own:
        return _problems_of_folder(entry, place.path, names)
    if each.field == "config":
        if not any(index in names for index in INDEXES):
            return [_not_in_layout("config", place.path)]
        each.choose(names)
        return []
    if weights := [name for name in each.choose(names) if name.lower().endswith(MODEL_SUFFIXES)]:
        files = (place.path / name for name in weights)
        return [problem for file in files for problem in _problems_of_file(each.field, file)]
    (network,) = each.networks
    return [_why_no_network(each.field, place.path, network, entry.family.files.weights[network])]


def _problems_of_folder(entry: ModelEntry, folder: Path, names: Names) -> list[str]:
    """names: of the files in the folder of a model. Raises Incomplete, and OSError."""
    if not any(index in names for index in INDEXES):
        files = at_the_top(names, MODEL_SUFFIXES)
        if len(files) == 1:
            return _problems_of_file("path", folder / files[0])
        if files:
            return [_several("weight_name", folder, files)]
        inside = model_inside(files_below(folder, depth=2))
        return [_inside("path", folder, inside) if inside else _not_in_layout("path", folder)]
    try:
        said = folder_facts(folder)
    except OSError as error:
        if not is_absent(error):
            raise
        said = FolderFacts()  # what is missing is said here
    # A model of another family would lack what that has not got.
    if said.model in entry.family.architectures or said == FolderFacts():
        pipeline_files(names, entry.family.files, half=True, replaced=entry.replaced)
    return []


def _why_no_network(field: str, folder: Path, network: str, base: str) -> str:
    """Why none is read of a folder that is named in place of a network."""
    names = files_below(folder, depth=2)
    alone = at_the_top(names, MODEL_SUFFIXES)
    if not alone and (inside := network_inside(names, network, base)):
        return _inside(field, folder, inside)
    if files := single_files(names, network):
        return _several(field, folder, files)
    lacks = "no" if NETWORK in names else f"no {NETWORK} and no"
    return f"{field} {str(folder)!r} contains {lacks} whole {' or '.join(MODEL_SUFFIXES)} file"


def _inside(field: str, folder: Path, inside: str) -> str:
    said = f"{field} {str(folder)!r} holds nothing to read itself, but its folder {inside!r} does"
    return f"{said}: name {str(folder / inside)!r}"


def _not_in_layout(field: str, folder: Path) -> str:
    return f"{field} {str(folder)!r} contains no {INDEX}: it is not in diffusers layout"


def _several(field: str, folder: Path, files: Sequence[str]) -> str:
    return f"{field} must name one of the files in {str(folder)!r}: {', '.join(files[:5])}"


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
