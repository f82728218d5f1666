"""Bundles: which files of this machine a part is, without reading them."""

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final, Self

from bot.distributed.parts import REPLACING, Kind, Part
from bot.engine.hashing import of_listing
from bot.engine.selecting import (
    Select,
    Unfit,
    control_files,
    depth_files,
    describer_files,
    detector_files,
    network_weights,
    pose_files,
)
from catalog.disk import files_below, is_file, is_folder, names_in
from catalog.families import FAMILIES
from catalog.locate import Location, second_file, weight_file
from catalog.selecting import PIECES
from catalog.weight_files.evidence import BESIDE_CHECKPOINTS
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.peft_config import config_file
from catalog.weight_files.pipeline import INDEXES, NETWORK, configurations

SUFFIXES: Final = (*MODEL_SUFFIXES, ".json", ".txt", ".yaml", ".yml", PIECES)
"""What the names of files end in that may be sent to a worker."""
_DEPTH_MAX: Final = 4
"""Folders and file in the name of a file below its part's root."""
_NAME: Final = re.compile(r"\w(?:[\w .,+()&'-]{0,126}[\w)'&+])?")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
WEIGHTS: Final = {
    network: base for family in FAMILIES.values() for network, base in family.files.weights.items()
}
"""What the names of a network's weight files begin with, which is the same in every family."""
_MAIN: Final = "model"
"""What a checkpoint is called that has files beside it, which go by its name."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a part. name: below the part's root, with slashes. size: in bytes.

    stamp: of size and modification time; changes when the file does. file: the same for all names
        of one file on this machine.
    """

    name: str
    path: Path
    size: int
    stamp: tuple[int, int]
    file: tuple[int, int] | str

    @classmethod
    def of(cls, name: str, path: Path, status: os.stat_result) -> Self:
        """status: of `path`."""
        # Some shares number no files.
        file = (status.st_dev, status.st_ino) if status.st_ino else str(path)
        return cls(name, path, status.st_size, stamp_of(status), file)

    def intact(self) -> bool:
        """Whether the file is still the one that it was. Blocks."""
        try:
            return stamp_of(self.path.stat()) == self.stamp
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of a part on this machine, below `root`.

    folder: it is opened as a folder; else as its first file, beside which the others are.
    """

    root: Path
    members: tuple[Member, ...]
    folder: bool

    def opened(self, kind: Kind) -> Part:
        """What stands in an entry to open these files."""
        first, *others = self.members
        if kind is Kind.NETWORK:
            return Part(kind, str(self.root))
        if not self.folder:
            second = others[0].name if others and kind is Kind.EMBEDDING else ""
            return Part(kind, str(first.path), beside=second)
        if kind is Kind.CONTROL:
            # Of several variants, each engine takes its own.
            weights = [m.name for m in self.members if m.name.lower().endswith(MODEL_SUFFIXES)]
            return Part(kind, str(self.root), weights[0] if len(weights) == 1 else None)
        if kind is not Kind.REFERENCE:
            return Part(kind, str(self.root))
        encoder = next((m.name for m in others if m.name.endswith("/config.json")), "/")
        return Part(kind, str(self.root), first.name, beside=encoder.rpartition("/")[0])

    def intact(self) -> bool:
        """Whether the files are still those that they were. Blocks."""
        return all(member.intact() for member in self.members)


def digest_of(names: Iterable[str], digests: Iterable[str], *, folder: bool) -> str:
    """Of a part with these files. digests: of the files, in the order of their names."""
    found = [*zip(names, digests, strict=True)]
    return found[0][1] if len(found) == 1 and not folder else of_listing(found)


def is_folder_of(kind: Kind, names: Collection[str]) -> bool:
    """Whether a part with these files is opened as a folder."""
    if kind in {Kind.REFERENCE, Kind.DEPTH, Kind.POSE, Kind.DETECTOR, Kind.DESCRIBER}:
        return True
    if kind is Kind.CONTROL:
        return len(names) > 1
    within = configurations(kind) if kind in REPLACING else (NETWORK,)
    return _is_layout(kind) and any(name in names for name in (*INDEXES, *within))


def is_sound(name: str) -> bool:
    """Whether a file of a part may have this name on any machine: it leads nowhere else."""
    steps = name.split("/")
    return (
        len(steps) <= _DEPTH_MAX
        and name.lower().endswith(SUFFIXES)
        and all(_NAME.fullmatch(step) and not _RESERVED.fullmatch(step) for step in steps)
    )


def bundle_of(part: Part, found: Location) -> Bundle | None:
    """The files of a part. found: where `part.path` is.

    None if they are not there or cannot be told apart. Raises OSError. Reads no file.
    """
    root = found.path
    if root is None:
        return None
    if part.kind is Kind.NETWORK:
        return _network(root / part.beside, part.beside)
    if part.kind is Kind.REFERENCE:
        names = [part.weight_name or "", *_flat(root, part.beside, SUFFIXES)]
        return _bundle(root, names)
    looking = {Kind.CONTROL, Kind.DEPTH, Kind.POSE, Kind.DETECTOR, Kind.DESCRIBER}
    if part.kind in looking and found.kind != "file":
        return _chosen(root, part)
    if found.kind != "file" and part.weight_name is None and _has_layout(part.kind, root):
        return _bundle(root, [name for name in _layout(part.kind, root) if part.counts(name)])
    of_model = part.kind is Kind.MODEL or part.kind in REPLACING
    suffixes = MODEL_SUFFIXES if of_model else MODEL_SUFFIXES[:1]
    if (main := weight_file(found, part.weight_name, suffixes)) is None:
        return None
    return _of_file(part, main)


def _network(folder: Path, network: str) -> Bundle | None:
    """The weights in `folder` that are read, whether an engine computes in 16 bits or not."""
    names = names_in(folder) if is_folder(folder) else []
    chosen: list[str] = []
    for half in (True, False):
        try:
            chosen += network_weights(names, "", WEIGHTS[network], half=half)
        except Unfit:
            return None
    found = _bundle(folder, [name for name in chosen if name.endswith(MODEL_SUFFIXES)])
    return found and replace(found, folder=False)


def _chosen(root: Path, part: Part) -> Bundle | None:
    """The files of a ControlNet, or of what tells depth or poses or finds things, read by any
    engine."""
    within = PurePosixPath(part.weight_name or "").parent.as_posix()
    chosen: list[str] = []
    for select in selects(part):
        try:
            chosen += select(files_below(root, (within,), depth=0))
        except Unfit:
            return None
    found = _bundle(root, chosen)
    return found and replace(found, folder=is_folder_of(part.kind, {*chosen}))


def selects(part: Part) -> tuple[Select, Select]:
    """What chooses the files of such a part, for an engine in 16 bits and for one in 32."""
    if part.kind is Kind.DEPTH:
        return partial(depth_files, half=True), partial(depth_files, half=False)
    if part.kind is Kind.POSE:
        return partial(pose_files, half=True), partial(pose_files, half=False)
    if part.kind is Kind.DETECTOR:
        return partial(detector_files, half=True), partial(detector_files, half=False)
    if part.kind is Kind.DESCRIBER:
        return partial(describer_files, half=True), partial(describer_files, half=False)
    named = partial(control_files, weight_name=part.weight_name)
    return partial(named, half=True), partial(named, half=False)


def _has_layout(kind: Kind, root: Path) -> bool:
    """Whether a folder is read as one; else it may have one file that is."""
    if kind not in REPLACING:
        return _is_layout(kind)
    return any(is_file(root / name) for name in configurations(kind))


def _is_layout(kind: Kind) -> bool:
    return kind in {Kind.MODEL, Kind.CONFIG} or kind in REPLACING


def _layout(kind: Kind, root: Path) -> list[str]:
    """The names of the files in diffusers' layout."""
    if kind in REPLACING:
        return _flat(root, "" if is_file(root / NETWORK) else kind, SUFFIXES)
    suffixes = (".json", ".txt", PIECES) if kind is Kind.CONFIG else SUFFIXES
    names = _flat(root, "", suffixes)
    for name in names_in(root):
        if is_folder(root / name):
            names += _flat(root, name, suffixes)
    return names


def _flat(root: Path, folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files directly in a folder below `root`, by their names from there."""
    before = f"{folder}/" if folder else ""
    names = (f"{before}{name}" for name in names_in(root / folder))
    return [n for n in names if is_sound(n) and n.lower().endswith(suffixes) and is_file(root / n)]


def _of_file(part: Part, main: Path) -> Bundle | None:
    """`main` and what is read with it."""
    files = {main: main.name}
    match part.kind:
        case Kind.MODEL:
            beside = (main.with_suffix(suffix) for suffix in BESIDE_CHECKPOINTS)
            files |= {
                path: _MAIN + path.name.removeprefix(main.stem) for path in beside if is_file(path)
            }
            if len(files) > 1:
                files[main] = f"{_MAIN}{main.suffix.lower()}"
        case Kind.ADAPTER if config := config_file(main):
            files[config] = config.name
        case Kind.EMBEDDING if part.beside:
            files[second_file(main, part.beside)] = part.beside
    members = [_member(path, name) for path, name in files.items()]
    if None in members:
        return None
    return Bundle(main.parent, tuple(filter(None, members)), folder=False)


def _bundle(root: Path, names: list[str]) -> Bundle | None:
    members = [_member(root / name, name) for name in dict.fromkeys(names)]
    if not members or None in members:
        return None
    return Bundle(root, tuple(filter(None, members)), folder=True)


def _member(path: Path, name: str) -> Member | None:
    if not is_file(path):
        return None
    return Member.of(name, path, path.stat())


def stamp_of(status: os.stat_result) -> tuple[int, int]:
    """What changes when a file does: its size and modification time."""
    return status.st_size, status.st_mtime_ns
