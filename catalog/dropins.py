"""Weight files dropped into `models_dir`, offered without an entry in the catalog."""

import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from catalog.disk import is_file, is_folder, may_pass, names_in, reason_of
from catalog.families import of_architecture
from catalog.headers import HeaderCache
from catalog.limits import KEY_MAX, NAME_MAX
from catalog.lines import clean_line
from catalog.schedulers import narrowed
from catalog.schema import AdapterEntry, ModelEntry, explain
from catalog.search import fold
from catalog.sidecars import Sidecar
from catalog.snapshot import Problem
from catalog.unread import NotReadYet, Unread
from catalog.weight_files import (
    EMBEDDING,
    WEIGHTS_FILE,
    AdapterFacts,
    HeaderError,
)
from catalog.weight_files.base_models import in_words
from catalog.weight_files.gguf import MODEL_SUFFIXES, SUFFIX, without_packing

CHECKPOINTS: Final = "checkpoints"
LORAS: Final = "loras"
MODEL: Final = "a model"
_SAVED_FILES: Final = (WEIGHTS_FILE, "pytorch_lora_weights.safetensors")
"""What peft and diffusers call the one adapter file of a folder."""
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin")
_LET_IT_BE_READ: Final = "let the user that runs this read it"


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
    astray: tuple[Path, ...] = ()
    unread: tuple[Unread, ...] = ()


def weight_files(folder: Path, problems: list[Problem]) -> list[Path]:
    """The .safetensors files and links directly in a drop-in folder, sorted; [] if it is absent.

    problems: gets why the folder cannot be listed. Raises OSError if it may be listed later.
    """
    return _weights_of(folder, _names_in(folder, problems), MODEL_SUFFIXES[:1])


def _names_in(folder: Path, problems: list[Problem]) -> set[str]:
    try:
        return set(names_in(folder))
    except OSError as error:
        if may_pass(error):
            raise
        reason = f"the folder cannot be listed ({reason_of(error)})"
        problems.append(Problem(str(folder), folder.name, reason, _LET_IT_BE_READ))
        return set()


def _weights_of(folder: Path, names: Collection[str], suffixes: Sequence[str]) -> list[Path]:
    """Those in the first of `suffixes` come first, so that no others take the keys of theirs."""
    found = (
        sorted(n for n in names if n.lower().endswith(suffix) and not n.startswith("."))
        for suffix in suffixes
    )
    return [folder / name for name in chain.from_iterable(found)]


def other_formats(folder: Path, names: Collection[str], what: str) -> list[Problem]:
    """Files in formats that are not loaded from there, unless they have been converted.

    names: of what is in `folder`. what: of which files it is the folder, with an article.
    """
    problems = []
    for name in sorted(names):
        path = folder / name
        suffix = path.suffix.lower()
        if name.startswith(".") or f"{path.stem}.safetensors" in names:
            continue
        if suffix in _PICKLES:
            reason = "not offered: it is a pickle file, which is never loaded"
            mend = "get it as .safetensors, or convert it"
        elif suffix == SUFFIX and what != MODEL:
            reason = f"not offered: {what} cannot be a {SUFFIX} file; only models can"
            mend = f"get it as .safetensors, or move it to {CHECKPOINTS} if it is a model"
        else:
            continue
        problems.append(Problem(str(path), slug(path.stem), reason, mend))
    return problems


def other_formats_in(folder: Path, what: str) -> list[Problem]:
    """The same for the files that are there; none where it cannot be listed, which `weight_files`
    says. Raises OSError if it may be listed later."""
    try:
        names = names_in(folder)
    except OSError as error:
        if may_pass(error):
            raise
        return []
    return other_formats(folder, names, what)


def adapter_folders(folder: Path, names: Collection[str], problems: list[Problem]) -> list[Path]:
    """The adapter files of folders in the drop-in folder, as peft and diffusers save them.

    names: of what is in `folder`. problems, errors: as for `weight_files`.
    """
    found = []
    for name in sorted(names):
        try:
            if not name.startswith(".") and is_folder(folder / name):
                files = (folder / name / file for file in _SAVED_FILES)
                found += [file for file in files if is_file(file)]
        except OSError as error:
            if may_pass(error):
                raise
            reason = f"it cannot be read ({reason_of(error)})"
            problems.append(Problem(str(folder / name), slug(name), reason, _LET_IT_BE_READ))
    return found


def find(
    models_dir: Path,
    *,
    claimed: Collection[Path],
    model_keys: Collection[str],
    adapter_keys: Collection[str],
    headers: HeaderCache,
    wanted: Collection[str] = (),
) -> Found:
    """Make an entry for every valid file in the drop-in folders.

    claimed: resolved paths of files that entries of the catalog name; these are skipped.
    model_keys, adapter_keys: keys in use, including those of disabled and broken entries.
    headers: the cache to use; updated. wanted: keys of adapters whose files are read at once.
    Raises OSError if the folders cannot be read now, but may be later.
    """
    models: list[ModelEntry] = []
    adapters: list[AdapterEntry] = []
    problems: list[Problem] = []
    facts: dict[str, AdapterFacts] = {}
    astray: list[Path] = []
    unread: list[Unread] = []
    links = Links(models_dir)
    names = {folder: _names_in(models_dir / folder, problems) for folder in (CHECKPOINTS, LORAS)}
    files = {
        folder: _weights_of(
            models_dir / folder,
            names[folder],
            MODEL_SUFFIXES if folder == CHECKPOINTS else MODEL_SUFFIXES[:1],
        )
        for folder in names
    }
    for folder, what in ((CHECKPOINTS, MODEL), (LORAS, "a LoRA")):
        problems += other_formats(models_dir / folder, names[folder], what)
    called = _names_of(files[CHECKPOINTS])
    folders = adapter_folders(models_dir / LORAS, names[LORAS], problems)
    others = {folder: names[folder] - {file.name for file in files[folder]} for folder in names}
    for folder, keys in ((CHECKPOINTS, Keys(model_keys)), (LORAS, Keys(adapter_keys))):
        for file in (*files[folder], *(folders if folder == LORAS else ())):
            stem = file.parent.name if file in folders else file.stem
            if links.real(file) in claimed or (
                file in folders and links.real(file.parent) in claimed
            ):
                continue
            said, judged = AdapterFacts(), None
            try:
                if folder == CHECKPOINTS:
                    judged = headers.checkpoint(file)
                    title = judged.title
                else:
                    at_once = slug(stem) in wanted
                    said = headers.facts(file, others[folder], at_once=at_once)
                    if _is_embedding(file, said, headers):
                        astray.append(file)
                        continue
                    title = said.title or (stem if file in folders else "")
            except NotReadYet as later:
                unread.append(named(later.unread, stem))
                keys.reserve(stem)
                if folder == LORAS:
                    astray.append(file)
                continue
            except HeaderError as error:
                problems.append(Problem(str(file), slug(stem), f"not offered: {error}"))
                continue
            if (key := keys.take(stem)) is None:
                unread.append(named(Unread("adapter", (str(file),)), stem))
                continue
            if key != slug(stem):
                reason = f"offered as {key!r}: {slug(stem)!r} is taken"
                problems.append(Problem(str(file), key, reason))
            beside, wrong = headers.sidecars.of(file, others[folder])
            problems += [Problem(str(sidecar), key, why) for sidecar, why in wrong]
            fields: dict[str, Any] = {
                "key": key,
                "name": beside.name
                or clean_line(title, NAME_MAX)
                or clean_line(called.get(file, file.stem), NAME_MAX)
                or key,
                "path": links.path_of(file),
                "description": beside.description,
                "nsfw": beside.nsfw,
                "licence": beside.licence,
                "tags": beside.tags,
            }
            try:
                if judged:
                    if family := of_architecture(judged.model):
                        told_by = (file.name, beside.base, fields["name"])
                        variant = family.told(told_by, stated=judged.stated)
                        fields["family"], fields["variant"] = family, variant and variant.name
                    # Others need no word in the entry: any sampler fits them.
                    if narrowed(judged.prediction, judged.zero_snr):
                        fields["prediction"] = judged.prediction
                        fields["zero_terminal_snr"] = judged.zero_snr
                    models.append(ModelEntry(**fields))
                else:
                    adapters.append(adapter := AdapterEntry(**fields, **_stated(said, beside)))
                    facts[key] = _completed(said.called(adapter.word), beside)
            except ValidationError as error:
                problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return Found(
        tuple(models),
        tuple(adapters),
        tuple(problems),
        MappingProxyType(facts),
        (*files[CHECKPOINTS], *files[LORAS], *folders),
        tuple(astray),
        tuple(unread),
    )


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


class Links:
    """Resolves links, those on the way to a folder once: there may be 10,000 files in it."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._folders: dict[str, str] = {}
        self._root = str(self.real(models_dir)) + os.sep

    def real(self, path: Path) -> Path:
        """`path` with its links resolved as far as they exist; a loop resolves to itself."""
        return Path(self._real(str(path)))

    def path_of(self, file: Path) -> str:
        """How an entry names a file of the models folder."""
        # A link may lead anywhere, and `locate` rejects a relative path that leaves the folder.
        if self._real(str(file)).startswith(self._root):
            return file.relative_to(self._models_dir).as_posix()
        return str(file.absolute())

    def _real(self, path: str) -> str:
        folder, _, name = path.rpartition(os.sep)
        # Path.resolve raises on loops before Python 3.13.
        if not folder or name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114 – as in `stamps`
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder].rstrip(os.sep) + os.sep + name


def slug(stem: str) -> str:
    """A key made from a file name: deterministic, and never empty."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:KEY_MAX].rstrip("-._")
    return key or f"file-{zlib.crc32(os.fsencode(stem)):08x}"


class Keys:
    """Gives each file a key of its own: the same one, whichever files have been read already."""

    def __init__(self, taken: Iterable[str]) -> None:
        """taken: keys in use."""
        self._taken = {*taken}
        self._reserved: set[str] = set()

    def take(self, stem: str) -> str | None:
        """The first free key for a file called so; None if it depends on files not read yet."""
        for key in _numbered(slug(stem)):
            if key in self._reserved:
                self.reserve(stem)
                return None
            if key not in self._taken:
                self._taken.add(key)
                return key
        raise AssertionError

    def reserve(self, stem: str) -> None:
        """Keep the key free that a file called so may get once it is read."""
        for key in _numbered(slug(stem)):
            if key not in self._taken and key not in self._reserved:
                self._reserved.add(key)
                return


def named(unread: Unread, stem: str, *others: str) -> Unread:
    """The same with the names by which a request may mean it."""
    names = dict.fromkeys(map(fold, (stem, slug(stem), *others)))
    return replace(unread, names=tuple(filter(None, names)))


def _numbered(key: str) -> Iterator[str]:
    yield key
    number = 2
    while True:
        suffix = f"-{number}"
        yield key[: KEY_MAX - len(suffix)] + suffix
        number += 1


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
