"""Networks of one kind beside the models: those of its table, and those dropped into its folder."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from pydantic import ValidationError

from catalog.dropins import Keys, Links, other_formats_in, slug, weight_files
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.schema import ControlNetEntry, UpscalerEntry, explain
from catalog.snapshot import Problem
from catalog.weight_files import HeaderError

NetworkT = TypeVar("NetworkT", UpscalerEntry, ControlNetEntry)
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class FoundNetworks(Generic[NetworkT, Said]):
    """All entries, what their files say or why they cannot be used, all files read, and problems.

    facts, unfit: by key.
    """

    entries: Mapping[str, NetworkT]
    facts: Mapping[str, Said]
    unfit: Mapping[str, str]
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Kind(Generic[NetworkT, Said]):
    """What such networks are. folder: where they are dropped. what: the word, with an article.

    read: what a file says; raises HeaderError. mend: how to fix what that says, where that does not
    follow from the kind of file.
    """

    folder: Path
    what: str
    entry: type[NetworkT]
    read: Callable[[Path], Said]
    mend: Callable[[HeaderError], str] = lambda _: ""


def find_networks(
    kind: Kind[NetworkT, Said],
    models_dir: Path,
    entries: Mapping[str, NetworkT],
    files: Mapping[str, Path],
    folders: Mapping[Path, Path] = MappingProxyType({}),
    *,
    table: Path,
    claimed: Collection[Path],
    keys: Collection[str],
) -> FoundNetworks[NetworkT, Said]:
    """Judge the files of `entries`, and make an entry for everything in the folder of that kind.

    files: of those entries that are on this machine, by key. folders: those that are networks as
    well, by the file in each. table: the file that the entries are in. claimed: resolved paths of
    files and folders that entries of the catalog name; these are skipped. keys: in use. Raises
    OSError as `dropin_models.find`.
    """
    every, facts, unfit = dict(entries), dict[str, Said](), dict[str, str]()
    problems: list[Problem] = []
    read = [*files.values()]
    for key, file in files.items():
        try:
            facts[key] = kind.read(file)
        except HeaderError as error:
            unfit[key] = str(error)
            problems.append(Problem(str(table), key, f"not offered: {file.name}: {error}"))
    offered, links = Keys(keys), Links(models_dir)
    dropped = {file: file for file in weight_files(kind.folder, problems)} | {**folders}
    for file, owned in dropped.items():
        if links.real(file) in claimed or links.real(owned) in claimed:
            continue
        stem = owned.stem if owned == file else owned.name
        wanted = slug(stem)
        read.append(file)
        try:
            said = kind.read(file)
        except HeaderError as error:
            problems.append(Problem(str(file), wanted, f"not offered: {error}", kind.mend(error)))
            continue
        key = offered.take(stem) or wanted
        if key != wanted:
            problems.append(Problem(str(file), key, f"offered as {key!r}: {wanted!r} is taken"))
        name = clean_line(stem, NAME_MAX) or key
        try:
            every[key] = kind.entry(key=key, name=name, path=links.path_of(owned))
            facts[key] = said
        except ValidationError as error:
            problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return FoundNetworks(
        MappingProxyType(every),
        MappingProxyType(facts),
        MappingProxyType(unfit),
        tuple(read),
        (*problems, *other_formats_in(kind.folder, kind.what)),
    )
