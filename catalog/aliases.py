"""Which entries a name may mean: keys, names, and file names as other programs write them.

AUTOMATIC1111 names a LoRA by its file or by the `ss_output_name` in it, SwarmUI and ComfyUI by its
path in their folder, with either slash and with or without `.safetensors` or `.gguf`.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from catalog.search import fold
from catalog.weight_files.gguf import MODEL_SUFFIXES

NAMED_MAX: Final = 1_000
"""Characters of a name that is looked up; longer ones mean nothing."""

_HASH: Final = re.compile(r" ?\[[0-9a-f]{8,64}\]$")
_WORDS: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Naming:
    """How one entry may be called. file: its weight file's path, "" if that is not known.

    stem: what its trainer called the file, "" if the file does not say.
    """

    key: str
    name: str
    file: str = ""
    stem: str = ""


class _Keys:
    """Keys by text, in order.

    Most texts mean one key, which is kept as it is: lists for 10,000 entries would each cost the
    garbage collector time, during which every thread waits.
    """

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._others: dict[str, list[str]] = {}

    def add(self, text: str, key: str) -> None:
        if text and self._first.setdefault(text, key) != key:
            self._others.setdefault(text, []).append(key)

    def get(self, text: str) -> tuple[str, ...]:
        first = self._first.get(text)
        return () if first is None else (first, *self._others.get(text, ()))


class Aliases:
    """Finds the keys of the entries that a name may mean; memory only."""

    def __init__(self, namings: Iterable[Naming]) -> None:
        self._names, self._stems, self._trained, self._loose = (_Keys() for _ in range(4))
        self._files: dict[str, str] = {}
        for naming in namings:
            file, name, trained = map(_plain, (naming.file, naming.name, naming.stem))
            stem = file.rpartition("/")[2]
            self._files[naming.key] = file
            self._names.add(name, naming.key)
            self._stems.add(stem, naming.key)
            self._trained.add(trained, naming.key)
            # Usually the same: folding each takes as long as all the rest.
            texts = {naming.key, name, stem, trained}
            for text in {_loose(text) for text in texts if text}:
                self._loose.add(text, naming.key)

    def find(self, text: str) -> tuple[str, ...]:
        """Keys of the entries that `text` may mean, in order; several if it is ambiguous.

        The closest way to read it counts: key, name, file name, trainer's name, and last the same
        without regard to accents and punctuation.
        """
        if len(text) > NAMED_MAX:
            return ()
        wanted = _plain(text)
        if wanted in self._files:
            return (wanted,)
        folder, _, stem = wanted.rpartition("/")
        by_file = self._stems.get(stem)
        if folder:
            inside = tuple(k for k in by_file if f"/{self._files[k]}".endswith(f"/{wanted}"))
            by_file = inside or by_file
        found = self._names.get(wanted) or by_file or self._trained.get(stem)
        return found or self._loose.get(_loose(stem))


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFC", text.strip()).casefold().replace("\\", "/")
    if plain.endswith("]"):
        plain = _HASH.sub("", plain)
    suffix = next(filter(plain.endswith, MODEL_SUFFIXES), "")
    return plain.removesuffix(suffix)


def _loose(text: str) -> str:
    folded = fold(text)
    if folded.replace(" ", "").isalnum():
        return folded  # as most are; to take them apart would take twice as long
    return " ".join(_WORDS.findall(folded))


def file_of(path: str, weight_name: str | None) -> str:
    """The weight file's path as far as an entry names it, "" if it does not."""
    return next((p for p in (weight_name or "", path) if p.lower().endswith(MODEL_SUFFIXES)), "")
