"""Models and LoRAs dropped into `models_dir`, offered without an entry in the catalog."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from catalog.dropins import (
    CHECKPOINTS,
    LORAS,
    MODEL,
    Keys,
    Links,
    adapter_folders,
    listed_in,
    named,
    other_formats,
    slug,
    weights_of,
)
from catalog.families import of_architecture
from catalog.headers import HeaderCache
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.schedulers import narrowed
from catalog.schema import AdapterEntry, ModelEntry, explain
from catalog.search import fold
from catalog.sidecars import Sidecar
from catalog.snapshot import Problem
from catalog.unread import NotReadYet, Unread
from catalog.weight_files import EMBEDDING, AdapterFacts, HeaderError
from catalog.weight_files.base_models import in_words
from catalog.weight_files.gguf import MODEL_SUFFIXES, SUFFIX, without_packing


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the folders: valid entries, the files they were made from, and problems.

    facts: what the files of the adapters say, by key.
    astray: embeddings that lie among the LoRAs, and those of `unread`, which may be some.
    unread: files of which nothing is said yet, because they are read later.
    """

    models: tuple[ModelEntry, ...]
    adapters: tuple[AdapterEntry, ...]
    problems: tuple[Problem, ...]
    facts: Mapping[str, AdapterFacts]
    files: tuple[Path, ...]
    astray: tuple[Path, ...]
    unread: tuple[Unread, ...]


def find(
    models_dir: Path,
    *,
    claimed: Collection[Path],
    model_keys: Collection[str],
    adapter_keys: Collection[str],
    headers: HeaderCache,
    wanted: Collection[str],
) -> Found:
    """Make an entry for every valid file in the drop-in folders.

    claimed: resolved paths of files that entries of the catalog name; these are skipped.
    model_keys, adapter_keys: keys in use, including those of disabled and broken entries.
    headers: the cache to use; updated. wanted: keys of adapters whose files are read at once.
    Raises OSError if the folders cannot be read now, but may be later.
    """
    problems: list[Problem] = []
    checkpoints, loras = models_dir / CHECKPOINTS, models_dir / LORAS
    in_checkpoints, in_loras = listed_in(checkpoints, problems), listed_in(loras, problems)
    problems += other_formats(checkpoints, in_checkpoints, MODEL)
    problems += other_formats(loras, in_loras, "a LoRA")
    folders = adapter_folders(loras, in_loras, problems)
    model_files = weights_of(checkpoints, in_checkpoints, MODEL_SUFFIXES)
    adapter_files = weights_of(loras, in_loras, MODEL_SUFFIXES[:1])
    finder = _Finder(Links(models_dir), claimed, headers, problems)
    models = finder.models(model_files, in_checkpoints, Keys(model_keys))
    adapters, facts, astray = finder.adapters(
        adapter_files, folders, in_loras, Keys(adapter_keys), wanted
    )
    return Found(
        tuple(models),
        tuple(adapters),
        tuple(problems),
        MappingProxyType(facts),
        (*model_files, *adapter_files, *folders),
        tuple(astray),
        tuple(finder.unread),
    )


@dataclass(frozen=True, slots=True)
class _Finder:
    """Makes the entries of a folder from its files. problems, unread: get what comes up."""

    links: Links
    claimed: Collection[Path]
    headers: HeaderCache
    problems: list[Problem]
    unread: list[Unread] = field(default_factory=list)

    def models(self, files: Sequence[Path], names: set[str], keys: Keys) -> list[ModelEntry]:
        """names: of what is in the folder."""
        found: list[ModelEntry] = []
        called, others = _names_of(files), names - {file.name for file in files}
        for file in files:
            if self.links.real(file) in self.claimed:
                continue
            try:
                judged = self.headers.checkpoint(file)
            except NotReadYet as later:
                self._put_off(later.unread, file.stem, keys)
                continue
            except HeaderError as error:
                self._refuse(file, slug(file.stem), str(error))
                continue
            if (key := self._key(file, file.stem, keys)) is None:
                continue
            fields, beside = self._fields(file, key, (judged.title, called[file]), others)
            if family := of_architecture(judged.model):
                told_by = (file.name, beside.base, fields["name"])
                variant = family.told(told_by, stated=judged.stated)
                fields["family"], fields["variant"] = family, variant and variant.name
            # Others need no word in the entry: any sampler fits them.
            if narrowed(judged.prediction, judged.zero_snr):
                fields["prediction"] = judged.prediction
                fields["zero_terminal_snr"] = judged.zero_snr
            try:
                found.append(ModelEntry(**fields))
            except ValidationError as error:
                self._refuse(file, key, explain(error))
        return found

    def adapters(
        self,
        files: Sequence[Path],
        folders: Sequence[Path],
        names: set[str],
        keys: Keys,
        wanted: Collection[str],
    ) -> tuple[list[AdapterEntry], dict[str, AdapterFacts], list[Path]]:
        """Also the facts and the files astray of Found. folders: the files in folders of theirs."""
        found: list[AdapterEntry] = []
        facts: dict[str, AdapterFacts] = {}
        astray: list[Path] = []
        others = names - {file.name for file in files}
        alone = {file: file for file in files}
        for file, owned in (alone | {file: file.parent for file in folders}).items():
            stem = file.stem if owned == file else owned.name
            if any(self.links.real(path) in self.claimed for path in {file, owned}):
                continue
            try:
                said = self.headers.facts(file, others, at_once=slug(stem) in wanted)
                if _is_embedding(file, said, self.headers):
                    astray.append(file)
                    continue
            except NotReadYet as later:
                self._put_off(later.unread, stem, keys)
                astray.append(file)
                continue
            except HeaderError as error:
                self._refuse(file, slug(stem), str(error))
                continue
            if (key := self._key(file, stem, keys)) is None:
                continue
            title = said.title or (stem if owned != file else "")
            fields, beside = self._fields(file, key, (title, file.stem), others)
            try:
                found.append(entry := AdapterEntry(**fields, **_stated(said, beside)))
                facts[key] = _completed(said.called(entry.word), beside)
            except ValidationError as error:
                self._refuse(file, key, explain(error))
        return found, facts, astray

    def _key(self, file: Path, stem: str, keys: Keys) -> str | None:
        """A key for the file; None if that depends on others that are read later."""
        if (key := keys.take(stem)) is None:
            self.unread.append(named(Unread("adapter", (str(file),)), stem))
        elif key != slug(stem):
            reason = f"offered as {key!r}: {slug(stem)!r} is taken"
            self.problems.append(Problem(str(file), key, reason))
        return key

    def _fields(
        self, file: Path, key: str, titles: Sequence[str], others: Collection[str]
    ) -> tuple[dict[str, Any], Sidecar]:
        """What any entry has, and what is said beside the file. titles: what it may be called where
        that does not say, the first that is not empty. others: what else is in the folder."""
        beside, wrong = self.headers.sidecars.of(file, others)
        self.problems.extend(Problem(str(sidecar), key, why) for sidecar, why in wrong)
        names = (beside.name, *(clean_line(title, NAME_MAX) for title in titles), key)
        fields = {
            "key": key,
            "name": next(filter(None, names)),
            "path": self.links.path_of(file),
            "description": beside.description,
            "nsfw": beside.nsfw,
            "licence": beside.licence,
            "tags": beside.tags,
        }
        return fields, beside

    def _put_off(self, unread: Unread, stem: str, keys: Keys) -> None:
        self.unread.append(named(unread, stem))
        keys.reserve(stem)

    def _refuse(self, file: Path, key: str, why: str) -> None:
        self.problems.append(Problem(str(file), key, f"not offered: {why}"))


def _names_of(checkpoints: Iterable[Path]) -> dict[Path, str]:
    """What they are called that do not say it themselves: a .gguf file without how it is packed,
    but by its whole name where another would be called the same."""
    plain = {
        file: without_packing(file.stem) if file.suffix.lower() == SUFFIX else file.stem
        for file in checkpoints
    }
    numbers = Counter(map(fold, plain.values()))
    return {
        file: file.name if file.suffix.lower() == SUFFIX and numbers[fold(name)] > 1 else name
        for file, name in plain.items()
    }


def _is_embedding(file: Path, said: AdapterFacts, headers: HeaderCache) -> bool:
    """Whether a file among the LoRAs is an embedding."""
    if said.algorithm != EMBEDDING:
        return False
    try:
        headers.embedding(file, surely=False)
    except HeaderError:
        return False
    return True


def _stated(facts: AdapterFacts, beside: Sidecar) -> dict[str, Any]:
    """Fields of an entry that a person gave: next to the file, or in it; not its tags."""
    weight = facts.weight if beside.weight is None else beside.weight
    fields: dict[str, Any] = {} if weight is None else {"default_weight": weight}
    if words := beside.trigger_words or facts.phrase:
        fields["trigger_words"] = words
    return fields


def _completed(facts: AdapterFacts, beside: Sidecar) -> AdapterFacts:
    """The facts with what is said next to the file about its base model and further words."""
    return replace(
        facts,
        base=in_words(facts.base, beside.base),
        tags=(*beside.others, *facts.tags),
    )
