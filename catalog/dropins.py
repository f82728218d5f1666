"""What holds for all weight files dropped into `models_dir`: names, keys, links, other formats."""

import os
import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from catalog.disk import is_file, is_folder, may_pass, names_in, reason_of
from catalog.limits import KEY_MAX
from catalog.search import fold
from catalog.snapshot import Problem
from catalog.unread import Unread
from catalog.weight_files import (
    WEIGHTS_FILE,
)
from catalog.weight_files.gguf import MODEL_SUFFIXES, SUFFIX

CHECKPOINTS: Final = "checkpoints"
LORAS: Final = "loras"
MODEL: Final = "a model"
_SAVED_FILES: Final = (WEIGHTS_FILE, "pytorch_lora_weights.safetensors")
"""What peft and diffusers call the one adapter file of a folder."""
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin")
_LET_IT_BE_READ: Final = "let the user that runs this read it"


def weight_files(folder: Path, problems: list[Problem]) -> list[Path]:
    """The .safetensors files and links directly in a drop-in folder, sorted; [] if it is absent.

    problems: gets why the folder cannot be listed. Raises OSError if it may be listed later.
    """
    return weights_of(folder, listed_in(folder, problems), MODEL_SUFFIXES[:1])


def listed_in(folder: Path, problems: list[Problem]) -> set[str]:
    """The names of what is in a drop-in folder; problems, errors: as for `weight_files`."""
    try:
        return set(names_in(folder))
    except OSError as error:
        if may_pass(error):
            raise
        reason = f"the folder cannot be listed ({reason_of(error)})"
        problems.append(Problem(str(folder), folder.name, reason, _LET_IT_BE_READ))
        return set()


def weights_of(folder: Path, names: Collection[str], suffixes: Sequence[str]) -> list[Path]:
    """Those of `names` that end so, in `folder`. Those in the first of `suffixes` come first, so
    that no others take the keys of theirs."""
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
