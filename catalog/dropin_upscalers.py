"""Upscalers: those of the table, and those dropped into `models_dir` without an entry."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from catalog.dropins import Keys, Links, other_formats_in, slug, weight_files
from catalog.headers import HeaderCache
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.schema import UpscalerEntry, explain
from catalog.snapshot import Problem
from catalog.upscalers import Upscalers
from catalog.weight_files import HeaderError, UpscalerFacts

UPSCALERS: Final = "upscalers"


@dataclass(frozen=True, slots=True)
class FoundUpscalers:
    """All upscalers, all files looked at, and problems."""

    upscalers: Upscalers
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


def find_upscalers(
    models_dir: Path,
    entries: Mapping[str, UpscalerEntry],
    files: Mapping[str, Path],
    *,
    table: Path,
    claimed: Collection[Path],
    keys: Collection[str],
    headers: HeaderCache,
) -> FoundUpscalers:
    """Judge the files of `entries`, and make an entry for every upscaler in `upscalers/`.

    files: of those entries that are on this machine, by key. table: the file that they are in.
    claimed: resolved paths of files that entries of the catalog name; these are skipped.
    keys: in use. headers: the cache to use; updated. Raises OSError as `dropins.find`.
    """
    every, facts, unfit = dict(entries), dict[str, UpscalerFacts](), dict[str, str]()
    problems: list[Problem] = []
    for key, file in files.items():
        try:
            facts[key] = headers.upscaler(file)
        except HeaderError as error:
            unfit[key] = str(error)
            problems.append(Problem(str(table), key, f"not offered: {file.name}: {error}"))
    folder = models_dir / UPSCALERS
    offered, links = Keys(keys), Links(models_dir)
    listed = weight_files(folder, problems)
    for file in listed:
        if links.real(file) in claimed:
            continue
        wanted = slug(file.stem)
        try:
            said = headers.upscaler(file)
        except HeaderError as error:
            problems.append(Problem(str(file), wanted, f"not offered: {error}"))
            continue
        key = offered.take(file.stem) or wanted
        if key != wanted:
            problems.append(Problem(str(file), key, f"offered as {key!r}: {wanted!r} is taken"))
        name = clean_line(file.stem, NAME_MAX) or key
        try:
            every[key] = UpscalerEntry(key=key, name=name, path=links.path_of(file))
            facts[key] = said
        except ValidationError as error:
            problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return FoundUpscalers(
        Upscalers(MappingProxyType(every), MappingProxyType(facts), MappingProxyType(unfit)),
        (*listed, *files.values()),
        (*problems, *other_formats_in(folder, "an upscaler")),
    )
