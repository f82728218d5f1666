"""Weight files dropped into `models_dir`, offered without an entry in the catalog."""

import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from catalog.limits import KEY_MAX, NAME_MAX
from catalog.lines import clean_line
from catalog.schema import AdapterEntry, ModelEntry, explain
from catalog.sidecars import Sidecar, Sidecars
from catalog.snapshot import Problem
from catalog.weight_files import (
    EMBEDDING,
    AdapterFacts,
    CheckpointFacts,
    EmbeddingFacts,
    HeaderError,
    Refusal,
    UnreadableFile,
    adapter_facts,
    checkpoint_facts,
    embedding_facts,
    paired_facts,
    read_header,
)
from catalog.weight_files.base_models import in_words
from catalog.weight_files.pipeline import WATCHED, folder_refusal

CHECKPOINTS: Final = "checkpoints"
LORAS: Final = "loras"

Stamp = tuple[str, int, int]
"""Path, size and mtime in nanoseconds: a file whose stamp is unchanged is not read again."""
Said = TypeVar("Said")


@dataclass(slots=True)
class HeaderCache:
    """What the headers of weight files, and the files next to them, said between two reads."""

    _checkpoints: dict[Stamp, CheckpointFacts | HeaderError] = field(default_factory=dict)
    _facts: dict[Stamp, AdapterFacts | HeaderError] = field(default_factory=dict)
    _embeddings: dict[Stamp, EmbeddingFacts | HeaderError] = field(default_factory=dict)
    _folders: dict[Path, tuple[tuple[Stamp, ...], Refusal | None]] = field(default_factory=dict)
    sidecars: Sidecars = field(default_factory=Sidecars)

    def checkpoint(self, file: Path) -> CheckpointFacts:
        """What a file in the place of a checkpoint is. Raises HeaderError if it is broken."""

        def read() -> CheckpointFacts:
            try:
                return checkpoint_facts(file, read_header(file))
            except HeaderError:
                raise
            except OSError as error:
                raise UnreadableFile(f"it cannot be read ({error.strerror or error})") from error

        return _once(self._checkpoints, file, read)

    def folder(self, folder: Path) -> Refusal | None:
        """Why a folder in diffusers' layout cannot be used; None if it can.

        Raises OSError if its configurations cannot be read.
        """
        files = [folder / name for name in WATCHED]
        stamps = tuple(_stamp(file, file.stat()) for file in files if file.is_file())
        known = self._folders.get(folder)
        if known is None or known[0] != stamps:
            known = self._folders[folder] = (stamps, folder_refusal(folder))
        return known[1]

    def facts(self, file: Path) -> AdapterFacts:
        """What an adapter file says about itself. Raises HeaderError if the file is broken."""

        def read() -> AdapterFacts:
            header = read_header(file)
            return adapter_facts(header.shapes, header.metadata)

        return _once(self._facts, file, read)

    def embedding(self, file: Path, *, surely: bool = True) -> EmbeddingFacts:
        """What an embedding file says about itself. surely: see `embedding_facts`.

        Raises HeaderError if the file is broken or something else.
        """

        def read() -> EmbeddingFacts:
            facts = embedding_facts(read_header(file), surely=surely)
            if facts is None:
                raise HeaderError("it is not an embedding (textual inversion)")
            return facts

        return _once(self._embeddings, file, read)

    def embedding_in_two(self, first: Path, second: Path) -> EmbeddingFacts | None:
        """What an embedding in two files says about itself; None if they are no such files."""
        try:
            if self.embedding(first).vectors or self.embedding(second).vectors:
                return None
            return paired_facts(read_header(first), read_header(second))
        except HeaderError:
            return None

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """Stamps of the files that were read, valid or not."""
        folders = (stamp for stamps, _ in self._folders.values() for stamp in stamps)
        return tuple(dict.fromkeys((*self._facts, *self._embeddings, *self._checkpoints, *folders)))

    def forget_all_but(self, files: Collection[Path]) -> None:
        """Drop everything that is cached for other files and folders."""
        kept = {str(file) for file in files}
        self._facts = {stamp: said for stamp, said in self._facts.items() if stamp[0] in kept}
        self._embeddings = {s: said for s, said in self._embeddings.items() if s[0] in kept}
        self._checkpoints = {
            stamp: said for stamp, said in self._checkpoints.items() if stamp[0] in kept
        }
        self._folders = {
            folder: said for folder, said in self._folders.items() if str(folder) in kept
        }
        self.sidecars.forget_all_but(files)


def _stamp(file: Path, status: os.stat_result) -> Stamp:
    return (str(file), status.st_size, status.st_mtime_ns)


def _once(known: dict[Stamp, Said | HeaderError], file: Path, read: Callable[[], Said]) -> Said:
    """The result of `read` for `file`, cached until the file changes."""
    try:
        status = file.stat()
    except OSError as error:
        raise HeaderError(f"it cannot be opened ({error.strerror})") from None
    stamp = _stamp(file, status)
    if stamp not in known:
        try:
            known[stamp] = read()
        except HeaderError as error:
            known[stamp] = error
    said = known[stamp]
    if isinstance(said, HeaderError):
        raise HeaderError(str(said))
    return said


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the folders: valid entries, the files they were made from, and problems.

    facts: what the files of the adapters say, by key.
    astray: embeddings that lie among the LoRAs.
    """

    models: tuple[ModelEntry, ...]
    adapters: tuple[AdapterEntry, ...]
    problems: tuple[Problem, ...]
    facts: Mapping[str, AdapterFacts]
    files: tuple[Path, ...]
    astray: tuple[Path, ...] = ()


def weight_files(models_dir: Path, folder: str) -> list[Path]:
    """The .safetensors files and links directly in a drop-in folder, sorted; [] if it is absent."""
    return _weights_of(models_dir / folder, _names_in(models_dir / folder))


def _names_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _weights_of(folder: Path, names: Collection[str]) -> list[Path]:
    found = (n for n in names if n.lower().endswith(".safetensors") and not n.startswith("."))
    return [folder / name for name in sorted(found)]


def find(
    models_dir: Path,
    *,
    claimed: Collection[Path],
    model_keys: Collection[str],
    adapter_keys: Collection[str],
    headers: HeaderCache,
) -> Found:
    """Make an entry for every valid file in the drop-in folders.

    claimed: resolved paths of files that entries of the catalog name; these are skipped.
    model_keys, adapter_keys: keys in use, including those of disabled and broken entries.
    headers: the cache to use; updated.
    """
    models: list[ModelEntry] = []
    adapters: list[AdapterEntry] = []
    problems: list[Problem] = []
    facts: dict[str, AdapterFacts] = {}
    astray: list[Path] = []
    names = {folder: _names_in(models_dir / folder) for folder in (CHECKPOINTS, LORAS)}
    files = {folder: _weights_of(models_dir / folder, names[folder]) for folder in names}
    others = {folder: names[folder] - {file.name for file in files[folder]} for folder in names}
    for folder, taken in ((CHECKPOINTS, set(model_keys)), (LORAS, set(adapter_keys))):
        for file in files[folder]:
            if real(file) in claimed:
                continue
            said = AdapterFacts()
            try:
                if folder == CHECKPOINTS:
                    title = headers.checkpoint(file).title
                else:
                    said = headers.facts(file)
                    if _is_embedding(file, said, headers):
                        astray.append(file)
                        continue
                    title = said.title
            except HeaderError as error:
                problems.append(Problem(str(file), slug(file.stem), f"not offered: {error}"))
                continue
            key, wanted = free_key(file.stem, taken), slug(file.stem)
            taken.add(key)
            if key != wanted:
                problems.append(Problem(str(file), key, f"offered as {key!r}: {wanted!r} is taken"))
            beside, wrong = headers.sidecars.of(file, others[folder])
            problems += [Problem(str(sidecar), key, why) for sidecar, why in wrong]
            fields: dict[str, Any] = {
                "key": key,
                "name": beside.name
                or clean_line(title, NAME_MAX)
                or clean_line(file.stem, NAME_MAX)
                or key,
                "path": path_of(file, models_dir),
                "description": beside.description,
                "nsfw": beside.nsfw,
            }
            try:
                if folder == CHECKPOINTS:
                    models.append(ModelEntry(**fields))
                else:
                    adapters.append(AdapterEntry(**fields, **_stated(said, beside)))
                    facts[key] = _completed(said, beside)
            except ValidationError as error:
                problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return Found(
        tuple(models),
        tuple(adapters),
        tuple(problems),
        MappingProxyType(facts),
        (*files[CHECKPOINTS], *files[LORAS]),
        tuple(astray),
    )


def _is_embedding(file: Path, said: AdapterFacts, headers: HeaderCache) -> bool:
    """Whether a file among the LoRAs is an embedding."""
    if said.algorithm != EMBEDDING:
        return False
    try:
        headers.embedding(file, surely=False)
    except HeaderError:
        return False
    return True


def real(path: Path) -> Path:
    """`path` with its links resolved as far as they exist; a loop of links resolves to itself."""
    # Path.resolve raises on loops before Python 3.13.
    return Path(os.path.realpath(path))


def slug(stem: str) -> str:
    """A key made from a file name: deterministic, and never empty."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:KEY_MAX].rstrip("-._")
    return key or f"file-{zlib.crc32(os.fsencode(stem)):08x}"


def free_key(stem: str, taken: Collection[str]) -> str:
    wanted = slug(stem)
    return next(key for key in _numbered(wanted) if key not in taken)


def _numbered(key: str) -> Iterator[str]:
    yield key
    number = 2
    while True:
        suffix = f"-{number}"
        yield key[: KEY_MAX - len(suffix)] + suffix
        number += 1


def path_of(file: Path, models_dir: Path) -> str:
    # A link may lead anywhere, and `locate` rejects a relative path that leaves the folder.
    if real(file).is_relative_to(real(models_dir)):
        return file.relative_to(models_dir).as_posix()
    return str(file.absolute())


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
