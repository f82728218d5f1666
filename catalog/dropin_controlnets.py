"""ControlNets: those of the table, and those dropped into `models_dir` without an entry."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from catalog.controlnets import ControlNets
from catalog.disk import files_below, is_folder, may_pass, names_in
from catalog.dropins import Keys, Links, other_formats_in, slug, weight_files
from catalog.headers import HeaderCache
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.locate import Location
from catalog.schema import ControlNetEntry, DepthEntry, explain
from catalog.selecting import Incomplete, control_files
from catalog.snapshot import Problem
from catalog.weight_files import ControlNetFacts, HeaderError
from catalog.weight_files.controlnet import NOT_ONE
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK

CONTROLNETS: Final = "controlnets"
_MISPLACED: Final = "move it to the folder for such files, or delete it"


@dataclass(frozen=True, slots=True)
class FoundControlNets:
    """All ControlNets, all files looked at, and problems."""

    controlnets: ControlNets
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


def find_controlnets(
    models_dir: Path,
    entries: Mapping[str, ControlNetEntry],
    places: Mapping[str, tuple[Location, str | None]],
    *,
    table: Path,
    claimed: Collection[Path],
    keys: Collection[str],
    depth: DepthEntry | None,
    headers: HeaderCache,
) -> FoundControlNets:
    """Judge the files of `entries`, and make an entry for every ControlNet in `controlnets/`: for
    each file, and for each folder in diffusers' layout.

    places: where the weights of those entries are, and their weight_name, by key. table: the file
    that they are in. claimed: resolved paths of files and folders that entries of the catalog name;
    these are skipped. keys: in use. headers: the cache to use; updated. Raises OSError as
    `dropins.find`.
    """
    every, facts, unfit = dict(entries), dict[str, ControlNetFacts](), dict[str, str]()
    problems: list[Problem] = []
    read: list[Path] = []
    for key in entries:
        if (file := control_file(*places[key])) is None:
            continue
        read.append(file)
        try:
            facts[key] = headers.controlnet(file)
        except HeaderError as error:
            unfit[key] = str(error)
            problems.append(Problem(str(table), key, f"not offered: {file.name}: {error}"))
    folder = models_dir / CONTROLNETS
    offered, links = Keys(keys), Links(models_dir)
    dropped = {file: file for file in weight_files(folder, problems)}
    for inner in network_folders(models_dir):
        if file := control_file(Location("folder", inner), None):
            dropped[file] = inner
    for file, owned in dropped.items():
        if links.real(file) in claimed or links.real(owned) in claimed:
            continue
        stem = owned.stem if owned == file else owned.name
        read.append(file)
        try:
            said = headers.controlnet(file)
        except HeaderError as error:
            mend = _MISPLACED if str(error).endswith(NOT_ONE) else ""
            problems.append(Problem(str(file), slug(stem), f"not offered: {error}", mend))
            continue
        key = offered.take(stem) or slug(stem)
        if key != slug(stem):
            problems.append(Problem(str(file), key, f"offered as {key!r}: {slug(stem)!r} is taken"))
        name = clean_line(stem, NAME_MAX) or key
        try:
            every[key] = ControlNetEntry(key=key, name=name, path=links.path_of(owned))
            facts[key] = said
        except ValidationError as error:
            problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return FoundControlNets(
        ControlNets(
            MappingProxyType(every), MappingProxyType(facts), MappingProxyType(unfit), depth
        ),
        tuple(read),
        (*problems, *other_formats_in(folder, "a ControlNet")),
    )


def control_file(place: Location, weight_name: str | None) -> Path | None:
    """The one weight file of a ControlNet on this machine; None if there is none, or several.

    Of variants, it is one of which the others say the same. Raises OSError if one may be listed
    later, see `catalog.disk.may_pass`.
    """
    if place.kind == "file" or place.path is None:
        return place.path
    if weight_name:
        return place.path / weight_name
    try:
        chosen = control_files(files_below(place.path, depth=0), None, half=True)
    except Incomplete:
        return None
    except OSError as error:
        if may_pass(error):
            raise
        return None
    files = [name for name in chosen if name.lower().endswith(MODEL_SUFFIXES)]
    return place.path / files[0] if len(files) == 1 else None


def network_folders(models_dir: Path) -> tuple[Path, ...]:
    """The folders in `controlnets/` that are networks in diffusers' layout, sorted.

    Raises OSError if they may be listed later.
    """
    folder = models_dir / CONTROLNETS
    try:
        inner = [folder / name for name in sorted(names_in(folder)) if not name.startswith(".")]
        return tuple(each for each in inner if is_folder(each) and NETWORK in names_in(each))
    except OSError as error:
        if may_pass(error):
            raise
        return ()
