"""Where the weights of an entry are: on this machine, in the download cache, or on the hub."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Final, Literal, TypeAlias

from catalog.disk import is_absent, is_file, is_folder, may_pass, names_in, status_of
from catalog.selecting import of_one_kind
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import INDEXES

BUILTIN: Final = "builtin:"
"""Prefix of the name of a folder or file that ships with the code."""
BUILTINS_DIR: Final = Path(__file__).resolve().parents[1] / "demo"
LOCAL_FOLDERS: Final = ("checkpoints", "loras", "embeddings", "upscalers", "controlnets")
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


def checkpoint_file(place: Location, weight_name: str | None) -> Path | None:
    """The one file of a model at `place`; None if it is in diffusers' layout, or not here.

    Raises OSError.
    """
    if place.kind == "file" or place.path is None:
        return place.path
    if weight_name is None and any(is_file(place.path / each) for each in INDEXES):
        return None
    return weight_file(place, weight_name, MODEL_SUFFIXES)


def second_file(found: Path, second: str) -> Path:
    """Where the other file of an embedding in two is. Raises OSError.

    found: the first, or the folder of both.
    """
    return (found if is_folder(found) else found.parent) / second
