"""Embeddings dropped into `models_dir`, offered without an entry in the catalog."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from catalog.dropins import Keys, Links, named, other_formats_in, slug, weight_files
from catalog.families import Family
from catalog.headers import HeaderCache
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.misfit import embedding_misfit
from catalog.schema import EmbeddingEntry, explain
from catalog.snapshot import Problem
from catalog.unread import NotReadYet, Unread
from catalog.weight_files import EmbeddingFacts, HeaderError

EMBEDDINGS: Final = "embeddings"
_SECOND: Final = re.compile(r"(.+)_2((?:-steps-\d+)?\.safetensors)", re.IGNORECASE)
"""The name of the second file of a pair; without `_2`, it is that of the first."""


@dataclass(frozen=True, slots=True)
class FoundEmbeddings:
    """The entries made, what their files say by key, all files looked at, and problems."""

    entries: tuple[EmbeddingEntry, ...]
    facts: Mapping[str, EmbeddingFacts]
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]
    unread: tuple[Unread, ...] = ()


def find_embeddings(
    models_dir: Path,
    astray: Sequence[Path],
    *,
    families: Collection[Family],
    unread: Collection[Path] = (),
    claimed: Collection[Path],
    keys: Collection[str],
    headers: HeaderCache,
) -> FoundEmbeddings:
    """Make an entry for every embedding in `embeddings/` and for those in `astray`.

    astray: files among the LoRAs that are embeddings, and `unread`, which may be. families: of the
    models that there are. claimed: resolved paths of files that entries of the catalog name; these
    are skipped. keys: in use.
    headers: the cache to use; updated.
    Raises OSError as `dropin_models.find`.
    """
    entries: list[EmbeddingEntry] = []
    facts: dict[str, EmbeddingFacts] = {}
    problems = [*other_formats_in(models_dir / EMBEDDINGS, "an embedding")]
    later: list[Unread] = []
    strays, unread = {*astray}, {*unread}
    offered = Keys(keys)
    links = Links(models_dir)
    listed = weight_files(models_dir / EMBEDDINGS, problems)
    free = [file for file in (*listed, *astray) if links.real(file) not in claimed]
    pairs, put_off = _pairs(free, unread, headers)
    seconds = {second for second, _ in pairs.values()}
    for file in free:
        if file in seconds:
            continue
        if file in put_off or file in unread:
            # Those that lie among the LoRAs are counted there.
            later += [named(put_off[file], file.stem)] if file not in unread else []
            offered.reserve(file.stem)
            continue
        wanted = slug(file.stem)
        try:
            said = headers.embedding(file, surely=file not in strays)
            second, said = pairs.get(file, (None, said))
        except NotReadYet as waits:
            later.append(named(waits.unread, file.stem))
            offered.reserve(file.stem)
            continue
        except HeaderError as error:
            problems.append(Problem(str(file), wanted, f"not offered: {error}"))
            continue
        if (key := offered.take(file.stem)) is None:
            later.append(named(Unread("embedding", (str(file),)), file.stem))
            continue
        if file in strays:
            problems.append(_astray(file, key, said, models_dir, families))
        elif key != wanted:
            problems.append(Problem(str(file), key, f"offered as {key!r}: {wanted!r} is taken"))
        fields: dict[str, Any] = {
            "key": key,
            "name": clean_line(said.title, NAME_MAX) or clean_line(file.stem, NAME_MAX) or key,
            "path": links.path_of(file),
            "token": said.token,
            "second": second.name if second else None,
        }
        try:
            entries.append(EmbeddingEntry(**fields))
            facts[key] = said
        except ValidationError as error:
            problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return FoundEmbeddings(
        tuple(entries),
        MappingProxyType(facts),
        (*listed, *astray),
        tuple(problems),
        tuple(later),
    )


def _astray(
    file: Path, key: str, said: EmbeddingFacts, models_dir: Path, families: Collection[Family]
) -> Problem:
    if why := embedding_misfit(said, families):
        reason, mend = f"an embedding, not a LoRA, and {why}", "remove it"
    else:
        reason = f"an embedding, not a LoRA; use it in a prompt as embedding:{key}"
        mend = f"move it to {models_dir / EMBEDDINGS}"
    return Problem(str(file), key, reason, mend)


def _pairs(
    files: Sequence[Path], unread: Collection[Path], headers: HeaderCache
) -> tuple[dict[Path, tuple[Path, EmbeddingFacts]], dict[Path, Unread]]:
    """The embeddings in two files, as diffusers writes them: the first → the second, and facts.

    And all files that may belong to one, and are read later.
    """
    known = set(files)
    found: dict[Path, tuple[Path, EmbeddingFacts]] = {}
    put_off: dict[Path, Unread] = {}
    for second in files:
        if name := _SECOND.fullmatch(second.name):
            first = second.with_name(name[1] + name[2])
            if first not in known:
                continue
            try:
                if first in unread or second in unread:
                    raise NotReadYet(Unread("pair", (str(second), str(first))))
                if facts := headers.embedding_in_two(first, second):
                    found[first] = (second, facts)
            except NotReadYet as waits:
                put_off |= dict.fromkeys((first, second), waits.unread)
    return found, put_off
