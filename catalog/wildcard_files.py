r"""Wildcard files: lists of words in `wildcards/*.txt`; `__name__` in a prompt draws a line of one.

One value a line, in UTF-8. Blank lines, and lines that begin with `#`, are left out; `\#` begins a
value with a `#`, and `3::` one that is drawn three times as often. `wildcards/animals/birds.txt` is
called `animals/birds`, whatever the case; `animals/*` is every file of that folder, `animals/**`
those of folders below it too. Files in a folder called `nsfw` are for age-restricted channels only.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from catalog.disk import FileStamp, is_absent, may_pass, reason_of
from catalog.lines import CONTROL
from catalog.snapshot import Problem
from catalog.wildcard_index import (
    NAME,
    VALUES_MAX,
    WEIGHT_MAX,
    WEIGHT_UNIT,
    WildcardFile,
    Wildcards,
    looks_weighted,
    weight_at,
)

WILDCARDS: Final = "wildcards"
"""The folder, beside the TOML files."""
FILE_MAX: Final = 4 * 2**20
ALL_MAX: Final = 64 * 2**20
"""Bytes of one file, and of all that are kept in memory."""
VALUE_MAX: Final = 2_000
"""Characters of a line."""

_NAME: Final = re.compile(rf"(?!.*__)(?!.*[*?]){NAME}")
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_SUFFIX: Final = ".txt"


@dataclass(slots=True)
class WildcardReader:
    """Reads the files of a folder, each again only when it has changed.

    folder: absent is as good as empty.
    """

    folder: Path
    _kept: dict[FileStamp, WildcardFile | str] = field(default_factory=dict)

    def stamps(self) -> tuple[FileStamp, ...]:
        """What changes when a file does. Blocks; never raises."""
        try:
            return tuple(stamp for _, stamp in self._listed())
        except OSError:
            return ()

    def read(self) -> tuple[Wildcards, tuple[Problem, ...]]:
        """Blocks. A file that cannot be used becomes a problem.

        Raises OSError if a file may be read later.
        """
        kept: dict[FileStamp, WildcardFile | str] = {}
        files: dict[str, WildcardFile] = {}
        folded: dict[str, str] = {}
        problems, total = [], 0
        for name, stamp in self._listed():
            path, size = Path(stamp[0]), stamp[1]
            said = self._kept.get(stamp)
            if said is None:
                said = _refused(name, size, total) or _values(path)
            if isinstance(said, WildcardFile):
                total += size
            kept[stamp] = said
            if isinstance(said, WildcardFile) and (other := folded.get(name.casefold())):
                said = f"its name differs from {other}{_SUFFIX} in upper and lower case only"
            if isinstance(said, str):
                problems.append(Problem(str(path), "", said))
                continue
            folded[name.casefold()] = name
            files[name] = said
        self._kept = kept
        return Wildcards(files), tuple(problems)

    def _listed(self) -> Iterator[tuple[str, FileStamp]]:
        """Each file by name, sorted. Raises OSError if a folder may be listed later."""

        def failed(error: OSError) -> None:
            if not is_absent(error) and may_pass(error):
                raise error

        for folder, below, files in os.walk(self.folder, onerror=failed):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for file in sorted(files):
                if not file.lower().endswith(_SUFFIX) or file.startswith("."):
                    continue
                path = Path(folder, file)
                try:
                    status = path.stat()
                except OSError as error:
                    failed(error)
                    continue
                name = path.relative_to(self.folder).as_posix()[: -len(_SUFFIX)]
                yield name, (str(path), status.st_size, status.st_mtime_ns, status.st_ino)


def _refused(name: str, size: int, total: int) -> str:
    """Why a file is not read; "" if it is."""
    if not _NAME.fullmatch(name):
        return (
            "its name cannot be written in a prompt: letters, digits, blanks and - . & ' + ! are "
            "allowed, and single underscores within it"
        )
    if size > FILE_MAX:
        return f"it has {size:,} bytes; {FILE_MAX:,} are allowed"
    if total + size > ALL_MAX:
        return f"with it, the wildcard files have more than {ALL_MAX:,} bytes together"
    return ""


def _values(path: Path) -> WildcardFile | str:
    """What is in a file, or why it cannot be used."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        if may_pass(error):
            raise
        return f"it cannot be read: {reason_of(error)}"
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text: byte {error.start}"
    values, weights = [], []
    for number, line in enumerate(_LINE_BREAK.split(text), 1):
        line = CONTROL.sub("", line).strip()
        if not line or line.startswith("#"):
            continue
        weight, begin = weight_at(line) or (WEIGHT_UNIT, 0)
        if not begin and (odd := looks_weighted(line)):
            return f"line {number}: the weight {odd} has to be from 0 to {WEIGHT_MAX:,}"
        if len(line) > VALUE_MAX:
            return f"line {number} has {len(line):,} characters; {VALUE_MAX:,} are allowed"
        value = line[begin:].strip()
        values.append(value[1:] if value.startswith("\\#") else value)
        weights.append(weight)
    if not any(weights):
        return "it has no values"
    if len(values) > VALUES_MAX:
        return f"it has {len(values):,} values; {VALUES_MAX:,} are allowed"
    alike = all(weight == WEIGHT_UNIT for weight in weights)
    return WildcardFile(tuple(values), None if alike else tuple(weights))
