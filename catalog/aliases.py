"""Which entries a name may mean: keys, names, and file names as other programs write them.

AUTOMATIC1111 names a LoRA by its file or by the `ss_output_name` in it, SwarmUI and ComfyUI by its
path in their folder, with either slash and with or without `.safetensors`.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from catalog.search import fold

NAMED_MAX: Final = 1_000
"""Characters of a name that is looked up; longer ones mean nothing."""

_SUFFIX: Final = ".safetensors"
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


class Aliases:
    """Finds the keys of the entries that a name may mean; memory only."""

    def __init__(self, namings: Iterable[Naming]) -> None:
        self._names: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self._trained: dict[str, list[str]] = defaultdict(list)
        self._loose: dict[str, list[str]] = defaultdict(list)
        self._keys: set[str] = set()
        self._files: dict[str, str] = {}
        for naming in namings:
            file = _plain(naming.file)
            stem = file.rpartition("/")[2]
            self._keys.add(naming.key)
            self._files[naming.key] = file
            for place, text in (
                (self._names, _plain(naming.name)),
                (self._stems, stem),
                (self._trained, _plain(naming.stem)),
            ):
                if text:
                    place[text].append(naming.key)
            for text in {_loose(t) for t in (naming.key, naming.name, stem, naming.stem)} - {""}:
                self._loose[text].append(naming.key)

    def find(self, text: str) -> tuple[str, ...]:
        """Keys of the entries that `text` may mean, in order; several if it is ambiguous.

        The closest way to read it counts: key, name, file name, trainer's name, and last the same
        without regard to accents and punctuation.
        """
        if len(text) > NAMED_MAX:
            return ()
        wanted = _plain(text)
        if wanted in self._keys:
            return (wanted,)
        folder, _, stem = wanted.rpartition("/")
        by_file = self._stems.get(stem, [])
        if folder:
            inside = [key for key in by_file if f"/{self._files[key]}".endswith(f"/{wanted}")]
            by_file = inside or by_file
        found = self._names.get(wanted) or by_file or self._trained.get(stem, [])
        return tuple(found or self._loose.get(_loose(stem), ()))


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFC", text.strip()).casefold().replace("\\", "/")
    return _HASH.sub("", plain).removesuffix(_SUFFIX)


def _loose(text: str) -> str:
    return " ".join(_WORDS.findall(fold(text)))


def file_of(path: str, weight_name: str | None) -> str:
    """The weight file's path as far as an entry names it, "" if it does not."""
    return next((p for p in (weight_name or "", path) if p.lower().endswith(_SUFFIX)), "")
