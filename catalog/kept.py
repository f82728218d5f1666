"""KeptFacts: what weight files said, on disk between two runs.

Reading the header of a true-size file takes 10 ms; to look up what it said, a hundredth of that.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from pydantic import TypeAdapter, ValidationError

from catalog.collecting import uncollected
from catalog.disk import reason_of
from catalog.headers import HeaderCache, Reading, Stamp
from catalog.sidecars import Sidecar
from catalog.weight_files import (
    CONFIG_FILE,
    AdapterFacts,
    CheckpointFacts,
    EmbeddingFacts,
    HeaderError,
)

log = logging.getLogger(__name__)

_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    "adapter": TypeAdapter(AdapterFacts),
    "embedding": TypeAdapter(EmbeddingFacts),
    "checkpoint": TypeAdapter(CheckpointFacts),
    "sidecar": TypeAdapter(Sidecar),
}


@dataclass(slots=True)
class KeptFacts:
    """The file in which the facts are kept, one reading a line, below a line that vouches for them.

    It is only a cache: one that is damaged, or was written by other code, is ignored and replaced.
    """

    file: Path
    _saved: frozenset[tuple[str, Stamp]] = frozenset()

    @classmethod
    def within(cls, folder: Path) -> Self:
        """folder: for data of the bot; made when needed."""
        return cls(folder / "facts.jsonl")

    def load(self) -> HeaderCache:
        """What was kept about files that have not changed since. Never raises. Blocks."""
        headers = HeaderCache()
        try:
            vouched, _, body = self.file.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return headers
        except OSError as error:
            log.warning("%s cannot be read (%s): reading every file", self.file, reason_of(error))
            return headers
        version, _, digest = vouched.partition(b" ")
        if version != _version().encode():
            log.info("%s is from another version of the bot: reading every file", self.file)
        elif digest != _digest(body):
            log.warning("%s is damaged: reading every file", self.file)
        else:
            changed_at = _changed_at()
            with uncollected():
                for line in body.splitlines():
                    if reading := _read(line, changed_at):
                        headers.restore(reading)
            self._saved = frozenset((r.kind, r.stamp) for r in headers.readings())
        return headers

    def save(self, headers: HeaderCache) -> None:
        """Keep what was read, and nothing about other files. Never raises. Blocks.

        Writes nothing when nothing was read or forgotten since the last time.
        """
        # A folder's permissions or a mount may mend an OSError without touching the file.
        readings = [r for r in headers.readings() if not isinstance(r.said, OSError)]
        now = frozenset((reading.kind, reading.stamp) for reading in readings)
        if now == self._saved:
            return
        changed_at = _changed_at()
        body = b"".join(filter(None, (_line(reading, changed_at) for reading in readings)))
        beside = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(_version().encode() + b" " + _digest(body) + b"\n" + body)
            beside.replace(self.file)
        except OSError as error:
            log.warning(
                "%s cannot be written (%s): the next start reads every model file again",
                self.file,
                reason_of(error),
            )
        self._saved = now


@cache
def _version() -> str:
    """A digest of the code that reads files, so that no change of it can be forgotten here."""
    digest = hashlib.blake2b(digest_size=16)
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


def _changed_at() -> Callable[[str], int]:
    """When a file, or peft's configuration next to it, last changed in any way: the sum of ctimes.

    A copy that keeps size and mtime has another ctime. Raises OSError.
    """
    configs: dict[str, int] = {}

    def changed_at(path: str) -> int:
        folder = path.rpartition(os.sep)[0]
        if folder not in configs:
            try:
                configs[folder] = os.stat(folder + os.sep + CONFIG_FILE).st_ctime_ns  # noqa: PTH116
            except OSError:
                configs[folder] = 0
        return os.stat(path).st_ctime_ns + configs[folder]  # noqa: PTH116 – as in `headers`

    return changed_at


def _line(reading: Reading, changed_at: Callable[[str], int]) -> bytes:
    """One reading as a line; empty if it cannot be kept."""
    failed = isinstance(reading.said, HeaderError)
    try:
        said = str(reading.said) if failed else _KINDS[reading.kind].dump_python(reading.said)
        fields = [reading.kind, reading.stamp, changed_at(reading.stamp[0]), failed, said]
        return json.dumps([*fields, reading.beside]).encode() + b"\n"
    except (OSError, ValueError):
        return b""


def _read(line: bytes, changed_at: Callable[[str], int]) -> Reading | None:
    """The reading of a line; None if its file has changed or is gone."""
    kind, (path, size, modified), changed, failed, said, beside = json.loads(line)
    try:
        if changed_at(path) != changed:
            return None
        said = HeaderError(said) if failed else _KINDS[kind].validate_python(said)
    except (OSError, ValidationError):
        return None
    return Reading(
        kind,
        (path, size, modified),
        said,
        tuple((path, size, modified) for path, size, modified in beside),
    )
