"""Weight files dropped into `models_dir`, offered without an entry in the catalog."""

import json
import math
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from catalog.limits import KEY_MAX, NAME_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.lines import clean_line
from catalog.schema import AdapterEntry, ModelEntry, explain
from catalog.snapshot import Problem
from catalog.weight_files import (
    WEIGHTS_FILE,
    AdapterFacts,
    HeaderError,
    adapter_facts,
    config_file,
    read_configs,
    read_header,
)

CHECKPOINTS: Final = "checkpoints"
LORAS: Final = "loras"
_SAVED_FILES: Final = (WEIGHTS_FILE, "pytorch_lora_weights.safetensors")
"""What peft and diffusers call the one adapter file of a folder."""
SIDECAR_MAX: Final = 64 * 1024
_DESCRIPTION_MAX = 1000

Stamp = tuple[str, int, int]
"""Path, size and mtime in nanoseconds: a file whose stamp is unchanged is not read again."""
Said = TypeVar("Said")


@dataclass(slots=True)
class HeaderCache:
    """What the headers of weight files said, kept between reads of the catalog."""

    _titles: dict[Stamp, str | HeaderError] = field(default_factory=dict)
    _facts: dict[Stamp, AdapterFacts | HeaderError] = field(default_factory=dict)

    def title(self, file: Path) -> str:
        """`ss_output_name` of a checkpoint, or ''. Raises HeaderError if the file is broken."""
        # Its `modelspec.title` is usually that of a model that was merged into it.
        return _once(
            self._titles, file, lambda: read_header(file).metadata.get("ss_output_name", "")
        )

    def facts(self, file: Path) -> AdapterFacts:
        """What an adapter file says about itself. Raises HeaderError if the file is broken."""

        def read() -> AdapterFacts:
            header = read_header(file)
            configs = read_configs(file, header.metadata)
            return adapter_facts(header.shapes, header.metadata, configs)

        return _once(self._facts, file, read)

    @property
    def adapter_stamps(self) -> tuple[Stamp, ...]:
        """Stamps of the adapter files that were read, valid or not."""
        return tuple(self._facts)

    def forget_all_but(self, files: Collection[Path]) -> None:
        """Drop everything that is cached for other files."""
        kept = {str(file) for file in files}
        self._titles = {stamp: said for stamp, said in self._titles.items() if stamp[0] in kept}
        self._facts = {stamp: said for stamp, said in self._facts.items() if stamp[0] in kept}


def stamp_of(file: Path) -> Stamp:
    """The stamp of a weight file, together with peft's configuration of it. Raises OSError."""
    status = file.stat()
    config = config_file(file)
    if config is None:
        return (str(file), status.st_size, status.st_mtime_ns)
    beside = config.stat()
    size = status.st_size + beside.st_size
    return (str(file), size, max(status.st_mtime_ns, beside.st_mtime_ns))


def _once(known: dict[Stamp, Said | HeaderError], file: Path, read: Callable[[], Said]) -> Said:
    """The result of `read` for `file`, cached until the file changes."""
    try:
        stamp = stamp_of(file)
    except OSError as error:
        raise HeaderError(f"it cannot be opened ({error.strerror})") from None
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
    """

    models: tuple[ModelEntry, ...]
    adapters: tuple[AdapterEntry, ...]
    problems: tuple[Problem, ...]
    facts: Mapping[str, AdapterFacts]
    files: tuple[Path, ...]


def weight_files(models_dir: Path, folder: str) -> list[Path]:
    """The .safetensors files and links directly in a drop-in folder, sorted; [] if it is absent."""
    try:
        with os.scandir(models_dir / folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(".safetensors") and not entry.name.startswith(".")
            )
    except OSError:
        return []
    return [models_dir / folder / name for name in names]


def adapter_folders(models_dir: Path) -> list[Path]:
    """The adapter files of folders in the drop-in folder, as peft and diffusers save them."""
    try:
        with os.scandir(models_dir / LORAS) as entries:
            names = sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            )
    except OSError:
        return []
    files = (models_dir / LORAS / name / file for name in names for file in _SAVED_FILES)
    return [file for file in files if file.is_file()]


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
    folders = adapter_folders(models_dir)
    models: list[ModelEntry] = []
    adapters: list[AdapterEntry] = []
    problems: list[Problem] = []
    facts: dict[str, AdapterFacts] = {}
    files = {folder: weight_files(models_dir, folder) for folder in (CHECKPOINTS, LORAS)}
    for folder, taken in ((CHECKPOINTS, set(model_keys)), (LORAS, set(adapter_keys))):
        for file in (*files[folder], *(folders if folder == LORAS else ())):
            stem = file.parent.name if file in folders else file.stem
            if real(file) in claimed or (file in folders and real(file.parent) in claimed):
                continue
            said = AdapterFacts()
            try:
                if folder == CHECKPOINTS:
                    title = headers.title(file)
                else:
                    said = headers.facts(file)
                    title = said.title or (stem if file in folders else "")
            except HeaderError as error:
                problems.append(Problem(str(file), slug(stem), f"not offered: {error}"))
                continue
            key, wanted = _free_key(stem, taken), slug(stem)
            taken.add(key)
            if key != wanted:
                problems.append(Problem(str(file), key, f"offered as {key!r}: {wanted!r} is taken"))
            fields: dict[str, Any] = {
                "key": key,
                "name": clean_line(title, NAME_MAX) or clean_line(file.stem, NAME_MAX) or key,
                "path": _path(file, models_dir),
            }
            try:
                if folder == CHECKPOINTS:
                    models.append(ModelEntry(**fields))
                else:
                    beside, wrong = _sidecar(file.with_suffix(".json"))
                    problems += [Problem(str(file.with_suffix(".json")), key, w) for w in wrong]
                    adapters.append(AdapterEntry(**{**fields, **_stated(said), **beside}))
                    facts[key] = said
            except ValidationError as error:
                problems.append(Problem(str(file), key, f"not offered: {explain(error)}"))
    return Found(
        tuple(models),
        tuple(adapters),
        tuple(problems),
        MappingProxyType(facts),
        (*files[CHECKPOINTS], *files[LORAS], *folders),
    )


def real(path: Path) -> Path:
    """`path` with its links resolved as far as they exist; a loop of links resolves to itself."""
    # Path.resolve raises on loops before Python 3.13.
    return Path(os.path.realpath(path))


def slug(stem: str) -> str:
    """A key made from a file name: deterministic, and never empty."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:KEY_MAX].rstrip("-._")
    return key or f"file-{zlib.crc32(os.fsencode(stem)):08x}"


def _free_key(stem: str, taken: Collection[str]) -> str:
    wanted = slug(stem)
    return next(key for key in _numbered(wanted) if key not in taken)


def _numbered(key: str) -> Iterator[str]:
    yield key
    number = 2
    while True:
        suffix = f"-{number}"
        yield key[: KEY_MAX - len(suffix)] + suffix
        number += 1


def _path(file: Path, models_dir: Path) -> str:
    # A link may lead anywhere, and `locate` rejects a relative path that leaves the folder.
    if real(file).is_relative_to(real(models_dir)):
        return file.relative_to(models_dir).as_posix()
    return str(file.absolute())


def _stated(facts: AdapterFacts) -> dict[str, Any]:
    """Fields of an entry that the author wrote into the file; not its tags, which are guesses."""
    fields: dict[str, Any] = {"trigger_words": facts.phrase} if facts.phrase else {}
    return fields if facts.weight is None else {**fields, "default_weight": facts.weight}


def _sidecar(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the JSON file that AUTOMATIC1111 keeps next to a LoRA: fields of the entry, problems."""
    try:
        if file.is_fifo():
            return {}, ["ignored: it is not a file"]  # opening it would block forever
        with file.open("rb") as opened:
            raw = opened.read(SIDECAR_MAX + 1)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"ignored: it cannot be opened ({error.strerror})"]
    if len(raw) > SIDECAR_MAX:
        return {}, [f"ignored: it is larger than {SIDECAR_MAX} bytes"]
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, ["ignored: it is not JSON"]
    if not isinstance(data, dict):
        return {}, ["ignored: it is not a JSON object"]
    fields: dict[str, Any] = {}
    wrong: list[str] = []
    text = data.get("activation text") or ""
    if isinstance(text, str):
        words = dict.fromkeys(filter(None, (clean_line(w, len(w)) for w in text.split(","))))
        fields |= {"trigger_words": tuple(words)} if words else {}
    else:
        wrong.append('"activation text" ignored: it must be text')
    weight = data.get("preferred weight") or 0  # the web UI writes 0 for "not set"
    if type(weight) not in {int, float} or not math.isfinite(weight):
        wrong.append('"preferred weight" ignored: it must be a number')
    elif not WEIGHT_MIN <= weight <= WEIGHT_MAX:
        wrong.append(
            f'"preferred weight" ignored: it must be from {WEIGHT_MIN:g} to {WEIGHT_MAX:g},'
            f" got {weight:g}"
        )
    elif weight:
        fields["default_weight"] = float(weight)
    description = data.get("description") or ""
    if isinstance(description, str):
        fields["description"] = description.strip()[:_DESCRIPTION_MAX]
    else:
        wrong.append('"description" ignored: it must be text')
    try:
        AdapterEntry(key="a", name="a", path="a", **fields)
    except ValidationError as error:
        return {}, [*wrong, f"ignored: {explain(error)}"]
    return fields, wrong
