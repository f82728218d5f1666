"""KeptFacts: what weight files said, on disk between two runs.

Reading the header of a true-size file takes 10 ms; to look up what it said, a hundredth of that.
"""

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from pydantic import TypeAdapter, ValidationError

from catalog.collecting import uncollected
from catalog.disk import reason_of
from catalog.headers import SIDECAR, HeaderCache, Reading
from catalog.sidecars import Sidecar
from catalog.stamps import Stamp
from catalog.weight_files import HeaderError

log = logging.getLogger(__name__)

DEAD_MAX: Final = 1_000
"""Lines that no longer count, above which the file is written whole while the bot runs."""
_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    **{kind: TypeAdapter(shelf.of) for kind, shelf in HeaderCache().shelves.items()},
    SIDECAR: TypeAdapter(Sidecar),
}

_Key = tuple[str, ...]


@dataclass(slots=True)
class KeptFacts:
    """The file in which the facts are kept, one reading a line, below the version of the code.

    Lines are appended as files are read, so that whatever ends the process costs none of them; the
    last one about a file counts. It is only a cache: a line that is damaged is ignored, and so is
    all that was written by other code.
    """

    file: Path
    _saved: dict[_Key, tuple[Stamp, ...]] = field(default_factory=dict)
    _dead: int = 0
    _begun: bool = False
    """Whether the file is there and begins as it should."""
    _tidy: bool = False
    """Whether it was written whole since `load`, or did not have to be."""
    _failed: str = ""
    """Why it could not be written, as it was last logged."""

    @classmethod
    def within(cls, folder: Path) -> Self:
        """folder: for data of the bot; made when needed."""
        return cls(folder / "facts.jsonl")

    def load(self) -> HeaderCache:
        """What was kept. Never raises. Blocks."""
        headers = HeaderCache()
        self._saved, self._dead, self._begun, self._tidy = {}, 0, False, False
        try:
            version, *lines = self.file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return headers
        except OSError as error:
            log.warning("%s cannot be read (%s): reading every file", self.file, reason_of(error))
            return headers
        if version != _version().encode():
            log.info("%s is from another version of the bot: reading every file", self.file)
            return headers
        damaged = 0
        with uncollected():
            for line in filter(None, lines):
                if reading := decoded(line):
                    self._dead += reading.key in self._saved
                    self._saved[reading.key] = reading.stamps
                    headers.restore(reading)
                else:
                    damaged += 1
        if damaged:
            log.warning("%s is damaged: reading %d files again", self.file, damaged)
        self._dead += damaged
        self._begun = True
        return headers

    def save(self, headers: HeaderCache) -> None:
        """Keep what was read, and forget other files. Never raises. Blocks.

        Writes nothing when nothing was read since the last time.
        """
        readings = {reading.key: reading for reading in headers.readings()}
        gone = self._saved.keys() - readings.keys()
        for key in gone:
            del self._saved[key]
        self._dead += len(gone)
        if (self._dead and not self._tidy) or self._dead > max(DEAD_MAX, len(readings)):
            self._begun = False
        if self._begun:
            self.add(readings.values())
        else:
            self._write(readings)
        self._tidy = True

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep these as well. Never raises. Blocks."""
        fresh = {r.key: r for r in readings if self._saved.get(r.key) != r.stamps}
        if not fresh or not self._begun:
            return
        try:
            with self.file.open("r+b") as file:  # not made anew: it begins with the version
                file.seek(0, os.SEEK_END)
                file.write(b"".join(map(encoded, fresh.values())))
        except OSError as error:
            self._complain(error)
            self._begun = False
            return
        self._dead += len(fresh.keys() & self._saved.keys())
        self._saved |= {key: reading.stamps for key, reading in fresh.items()}

    def _write(self, readings: dict[_Key, Reading]) -> None:
        beside = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        body = b"".join(map(encoded, readings.values()))
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(_version().encode() + b"\n" + body)
            beside.replace(self.file)
        except OSError as error:
            self._complain(error)
            return
        self._saved = {key: reading.stamps for key, reading in readings.items()}
        self._dead, self._begun = 0, True

    def _complain(self, error: OSError) -> None:
        if self._failed == str(error):
            return
        self._failed = str(error)
        log.warning(
            "%s cannot be written (%s): the next start reads every model file again",
            self.file,
            reason_of(error),
        )


@cache
def _version() -> str:
    """A digest of the code that reads files, so that no change of it can be forgotten here."""
    digest = hashlib.blake2b(digest_size=16)
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def encoded(reading: Reading) -> bytes:
    """One reading as a line, with its line break."""
    failed = isinstance(reading.said, HeaderError)
    said = str(reading.said) if failed else _KINDS[reading.kind].dump_python(reading.said)
    raw = json.dumps([reading.kind, reading.path, reading.stamps, failed, said]).encode()
    return b"%08x %s\n" % (_sum(raw), raw)


def decoded(line: bytes) -> Reading | None:
    """The reading of a line; None if the line is damaged, or by other code."""
    checked, _, raw = line.partition(b" ")
    try:
        if int(checked, 16) != _sum(raw):
            return None
        kind, path, stamps, failed, said = json.loads(raw)
        said = HeaderError(said) if failed else _KINDS[kind].validate_python(said)
    except (ValueError, ValidationError):
        return None
    stamped = tuple((name, size, modified, changed) for name, size, modified, changed in stamps)
    return Reading(kind, path, stamped, said)


def _sum(raw: bytes) -> int:
    return zlib.crc32(raw, zlib.crc32(_version().encode()))
