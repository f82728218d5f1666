"""Where the weights of an entry are: on this machine, in the download cache, or on the hub."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Final, Literal, TypeAlias

from catalog.disk import (
    files_below,
    is_absent,
    is_file,
    is_folder,
    may_pass,
    names_in,
    reason_of,
    status_of,
)
from catalog.schema import AdapterEntry, EmbeddingEntry, ModelEntry
from catalog.selecting import Incomplete, at_the_top, of_one_kind, replacing_files
from catalog.weight_files import HeaderError, read_configs, read_header, read_model_header
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import INDEXES, NETWORK, configurations, folder_facts

BUILTIN: Final = "builtin:"
"""Prefix of the name of a folder or file that ships with the code."""
BUILTINS_DIR: Final = Path(__file__).resolve().parents[1] / "demo"
LOCAL_FOLDERS: Final = ("checkpoints", "loras", "embeddings", "upscalers")
"""Folders of `models_dir` for the owner's own files; never read as an organisation on the hub."""

Kind: TypeAlias = Literal["folder", "file", "cached", "download", "missing", "unreadable"]

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_MAX_REF_BYTES = 256
_ADAPTERS: Final = MODEL_SUFFIXES[:1]
"""What the weight files of everything but models end in."""


@dataclass(frozen=True, slots=True)
class Location:
    """What a path of the catalog refers to on this machine.

    kind: folder, file, cached (a snapshot of the hub), download (fetched from the hub at first
        use), missing (none of these), unreadable (the system does not say which).
    path: the folder, the file or the snapshot's folder; None for the other kinds.
    error: why it is unreadable.
    """

    kind: Kind
    path: Path | None = None
    error: OSError | None = None

    @property
    def available(self) -> bool:
        """Whether it can be used without a download."""
        return self.kind in {"folder", "file", "cached"}

    def settled(self) -> "Location":
        """The same. Raises OSError if another may be found later; see `catalog.disk.may_pass`."""
        if self.error is not None and may_pass(self.error):
            raise self.error
        return self


_MISSING = Location("missing")


def locate(
    path: str, models_dir: Path, weight_name: str | None = None, revision: str | None = None
) -> Location:
    """Find out what `path` of an entry refers to. Only lists folders; never raises.

    path: `builtin:NAME`; a folder, or a .safetensors or .gguf file, absolute, from `~`, or relative
        to `models_dir`; else a hub id. A relative path that leaves `models_dir`, through `..` or a
        link, is missing; an absolute one may point anywhere, as the owner chose.
    weight_name: the file that a folder or a hub snapshot must contain.
    revision: the commit, tag or branch that a hub snapshot must be of.
    """
    try:
        return _locate(path, models_dir, weight_name, revision)
    except (ValueError, RuntimeError):  # a NUL, a loop of links, an unknown `~user`
        return _MISSING
    except OSError as error:
        return _MISSING if is_absent(error) else Location("unreadable", error=error)


def _locate(path: str, models_dir: Path, weight_name: str | None, revision: str | None) -> Location:
    if not path or (weight_name and _leaves(weight_name)):
        return _MISSING
    if path.startswith(BUILTIN):
        name = path.removeprefix(BUILTIN)
        return _local(BUILTINS_DIR / name, weight_name) if name in builtins() else _MISSING
    owned = Path(path).expanduser() if path.startswith("~") else Path(path)
    if owned.is_absolute():
        return _local(owned, weight_name)
    if _leaves(path):
        return _MISSING
    candidate = models_dir / path
    if status_of(candidate) is not None:
        found = _local(candidate, weight_name)
        used = candidate / weight_name if found.kind == "folder" and weight_name else candidate
        return found if _within(used, models_dir) else _MISSING
    if is_hub_id(path):
        snapshot = _snapshot(models_dir / "hub", path, weight_name, revision)
        return Location("cached", snapshot) if snapshot else Location("download")
    return _MISSING


def builtins() -> list[str]:
    """Names of the models and adapters that ship with the code."""
    found = (BUILTINS_DIR / name for name in names_in(BUILTINS_DIR))
    return [path.name for path in found if is_folder(path) or _is_weights(path)]


def is_hub_id(path: str) -> bool:
    """Whether `path` looks like a hub id and not like one of our own folders or files."""
    return (
        _HUB_ID.fullmatch(path) is not None
        and ".." not in path
        and "--" not in path
        and not path.lower().endswith(MODEL_SUFFIXES)
        and path.split("/")[0] not in LOCAL_FOLDERS
    )


def _leaves(relative: str) -> bool:
    # Windows rules on every system: catalogs get copied, and `\` must never smuggle a `..` past us.
    path = PureWindowsPath(relative)
    return bool(path.drive or path.root or ".." in path.parts or "\x00" in relative)


def _within(path: Path, folder: Path) -> bool:
    """Whether `path`, which exists, is below `folder` when links are followed. Raises OSError."""
    return path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))


def _local(path: Path, weight_name: str | None) -> Location:
    if is_folder(path):
        holds = weight_name is None or is_file(path / weight_name)
        return Location("folder", path) if holds else _MISSING
    return Location("file", path) if _is_weights(path) else _MISSING


def _is_weights(path: Path) -> bool:
    return path.suffix.lower() in MODEL_SUFFIXES and is_file(path)


def _snapshot(
    hub: Path, repository: str, weight_name: str | None, revision: str | None
) -> Path | None:
    """The cached snapshot to use: that of `revision` or of `main`, else any usable one."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    snapshots = folder / "snapshots"
    if not is_folder(snapshots) or (revision and _leaves(revision)):
        return None
    names = [_commit(folder / "refs" / (revision or "main")), revision]
    others = [] if revision else names_in(snapshots)
    for name in chain(filter(None, names), others):
        snapshot = snapshots / name
        used = snapshot / weight_name if weight_name else snapshot
        whole = is_file(used) if weight_name else bool(names_in(used))
        if whole and _within(used, hub):
            return snapshot
    return None


def _commit(ref: Path) -> str | None:
    if not is_file(ref):
        return None
    with ref.open("rb") as file:
        name = file.read(_MAX_REF_BYTES).decode("ascii", "replace").strip()
    return name if re.fullmatch(r"[A-Za-z0-9]+", name) else None


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
            _locate_network(network, path, bases[network], models_dir)
            for network, path in entry.replaced.items()
        ]
        others += [locate(path, models_dir) for path in (entry.completing if single else ())]
    for kind in ("unreadable", "missing", "download"):
        for found in (weights, *others):
            if found.kind == kind:
                return found
    return weights


def _locate_network(network: str, path: str, base: str, models_dir: Path) -> Location:
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


def weight_file(
    found: Location, weight_name: str | None, suffixes: Sequence[str] = _ADAPTERS
) -> Path | None:
    """The weight file of an entry on this machine; None if there is none.

    suffixes: those it may end in; MODEL_SUFFIXES for a model or one of its networks. Without
    `weight_name`, a folder must contain exactly one, see `of_one_kind`. Only lists folders. Raises
    OSError if one may be listed later, see `catalog.disk.may_pass`.
    """
    if found.kind == "file" or found.path is None:
        return found.path
    if weight_name:
        return found.path / weight_name
    try:
        files = of_one_kind(names_in(found.path), suffixes)
    except OSError as error:
        if may_pass(error):
            raise
        return None
    return found.path / files[0] if len(files) == 1 else None


def second_file(found: Path, second: str) -> Path:
    """Where the other file of an embedding in two is. Raises OSError.

    found: the first, or the folder of both.
    """
    return (found if is_folder(found) else found.parent) / second


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
        place = _locate_network(network, path, base, models_dir)
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
