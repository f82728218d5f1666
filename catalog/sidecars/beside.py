"""Find the sidecars of a weight file, and read each once."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from catalog.sidecars.fields import Sidecar, fields_of
from catalog.sidecars.files import Unusable, read_object

SUFFIXES: Final = (
    ".json",  # AUTOMATIC1111, Forge: what their user typed
    ".swarm.json",  # SwarmUI: likewise
    ".metadata.json",  # ComfyUI-Lora-Manager
    ".cm-info.json",  # Stability Matrix
    ".civitai.info",  # Civitai Helper
    ".civitai.json",
    ".api_info.json",  # CivitAI Browser+
    ".rgthree-info.json",  # rgthree-comfy
)
"""What stands in place of the weight file's ending in a sidecar's name, the most telling first.
Some programs append it instead: `ink.safetensors.rgthree-info.json`."""

_Said = tuple[Sidecar, tuple[str, ...]]
_Stamp = tuple[str, int, int, int]
"""Name or path, size, mtime and ctime of a sidecar."""


def names_beside(file: Path, names: Collection[str]) -> list[str]:
    """Which of `names` are those of a weight file's sidecars, the most telling first."""
    both = ((file.stem + suffix, file.name + suffix) for suffix in SUFFIXES)
    return [name for pair in both for name in pair if name in names]


@dataclass(slots=True)
class Sidecars:
    """What sidecars said, kept between reads of the catalog."""

    _known: dict[Path, dict[_Stamp, _Said]] = field(default_factory=dict)
    """By weight file; then by the stamp with the sidecar's name."""

    def of(self, file: Path, names: Collection[str]) -> tuple[Sidecar, list[tuple[Path, str]]]:
        """What is said about a weight file next to it, and the problems of each sidecar.

        names: of the files in its folder, other than weight files.
        """
        if not names:
            return Sidecar(), []
        known, self._known[file] = self._known.get(file, {}), {}
        found = Sidecar()
        problems: list[tuple[Path, str]] = []
        for name in names_beside(file, names):
            said, wrong = self._read(file.with_name(name), file, known)
            found = _merged(found, said)
            problems += [(file.with_name(name), why) for why in wrong]
        return found, problems

    @property
    def files(self) -> Collection[Path]:
        """The weight files of which sidecars are known."""
        return self._known.keys()

    def sound_of(self, file: Path) -> Iterator[tuple[_Stamp, Sidecar]]:
        """Those of a weight file without problems: the stamp with the sidecar's path, and it."""
        for (name, *stamp), (said, wrong) in self._known.get(file, {}).items():
            if not wrong:
                size, modified, changed = stamp
                yield (str(file.with_name(name)), size, modified, changed), said

    def restore(self, file: Path, stamp: _Stamp, said: Sidecar) -> None:
        """Put back what `sound_of` gave; it counts as long as the sidecar has that stamp."""
        path, size, modified, changed = stamp
        name = path.rpartition(os.sep)[2]
        self._known.setdefault(file, {})[name, size, modified, changed] = said, ()

    def forget_all_but(self, files: Collection[Path]) -> None:
        """Drop what is cached for other weight files."""
        kept = {*files}
        self._known = {file: said for file, said in self._known.items() if file in kept}

    def _read(self, path: Path, file: Path, known: Mapping[_Stamp, _Said]) -> _Said:
        try:
            status = path.stat()
        except OSError as error:
            return Sidecar(), (f"ignored: it cannot be opened ({error.strerror})",)
        stamp = (path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        said = known.get(stamp)
        if said is None:
            try:
                found, wrong = fields_of(read_object(path), file.name)
                said = found, tuple(wrong)
            except Unusable as error:
                said = Sidecar(), (f"ignored: {error}",)
        self._known[file][stamp] = said
        return said


def _merged(first: Sidecar, second: Sidecar) -> Sidecar:
    """What the first says, and where it says nothing, what the second says."""
    tags_only = first.others and not second.trigger_words
    words = first if first.trigger_words or tags_only else second
    return Sidecar(
        name=first.name or second.name,
        trigger_words=words.trigger_words,
        others=words.others,
        weight=second.weight if first.weight is None else first.weight,
        description=first.description or second.description,
        base=first.base or second.base,
        nsfw=first.nsfw or second.nsfw,
        licence=first.licence or second.licence,
        tags=first.tags or second.tags,
    )
