"""HeaderCache: what weight files say about themselves, kept between two reads of the catalog."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from catalog.disk import is_scarce, passing_fault, reason_of, status_of
from catalog.sidecars import Sidecar, Sidecars
from catalog.weight_files import (
    CONFIG_FILE,
    AdapterFacts,
    CheckpointFacts,
    EmbeddingFacts,
    HeaderError,
    UnreadableFile,
    adapter_facts,
    checkpoint_facts,
    config_file,
    embedding_facts,
    paired_facts,
    read_configs,
    read_header,
)
from catalog.weight_files.evidence import beside_checkpoint
from catalog.weight_files.pipeline import WATCHED, FolderFacts, folder_facts

Stamp = tuple[str, int, int]
"""Path, size and mtime in nanoseconds: a file whose stamp is unchanged is not read again."""
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file said when it had this stamp.

    kind: "adapter", "embedding", "checkpoint" or "sidecar". beside: of a checkpoint, the stamps of
    the files next to it that were read with it; of a sidecar, that of its weight file.
    """

    kind: str
    stamp: Stamp
    said: AdapterFacts | EmbeddingFacts | CheckpointFacts | Sidecar | HeaderError
    beside: tuple[Stamp, ...] = ()


@dataclass(slots=True)
class HeaderCache:
    """What the headers of weight files, and the files next to them, said between two reads."""

    _checkpoints: dict[Stamp, CheckpointFacts | HeaderError] = field(default_factory=dict)
    _beside: dict[Path, tuple[Stamp, ...]] = field(default_factory=dict)
    _facts: dict[Stamp, AdapterFacts | HeaderError] = field(default_factory=dict)
    _embeddings: dict[Stamp, EmbeddingFacts | HeaderError] = field(default_factory=dict)
    _folders: dict[Path, tuple[tuple[Stamp, ...], FolderFacts]] = field(default_factory=dict)
    sidecars: Sidecars = field(default_factory=Sidecars)

    def checkpoint(self, file: Path) -> CheckpointFacts:
        """What a file in the place of a checkpoint is.

        Raises HeaderError if it is broken, and OSError as all of these do if something is scarce
        (see `catalog.disk`), so that nothing can be said now.
        """
        beside = _stamps(beside_checkpoint(file))
        if self._beside.get(file) != beside:
            self._checkpoints = {s: k for s, k in self._checkpoints.items() if s[0] != str(file)}
            self._beside[file] = beside

        def read() -> CheckpointFacts:
            try:
                return checkpoint_facts(file, read_header(file))
            except HeaderError:
                raise
            except OSError as error:
                raise UnreadableFile(f"it cannot be read ({reason_of(error)})") from error

        return _once(self._checkpoints, file, read)

    def folder(self, folder: Path) -> FolderFacts:
        """What a folder in diffusers' layout says about the model in it.

        Raises OSError if its configurations cannot be read.
        """
        stamps = _stamps(folder / name for name in WATCHED)
        known = self._folders.get(folder)
        if known is None or known[0] != stamps:
            known = self._folders[folder] = (stamps, folder_facts(folder))
        return known[1]

    def facts(self, file: Path) -> AdapterFacts:
        """What an adapter file says about itself. Raises HeaderError if the file is broken."""

        def read() -> AdapterFacts:
            header = read_header(file)
            configs = read_configs(file, header.metadata)
            return adapter_facts(header.shapes, header.metadata, configs)

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

    def readings(self) -> Iterator[Reading]:
        """All that is cached, but for folders and for sidecars with problems, to be kept."""
        for stamp, facts in self._facts.items():
            yield Reading("adapter", stamp, facts)
        for stamp, embedding in self._embeddings.items():
            yield Reading("embedding", stamp, embedding)
        for stamp, checkpoint in self._checkpoints.items():
            yield Reading("checkpoint", stamp, checkpoint, self._beside.get(Path(stamp[0]), ()))
        for file, stamp, sidecar in self.sidecars.sound():
            yield Reading("sidecar", stamp, sidecar, ((str(file), 0, 0),))

    def restore(self, reading: Reading) -> None:
        """Put back what `readings` gave; it counts as long as the file has that stamp."""
        stamp, said = reading.stamp, reading.said
        if isinstance(said, Sidecar):
            self.sidecars.restore(Path(reading.beside[0][0]), stamp, said)
        elif isinstance(said, AdapterFacts) or reading.kind == "adapter":
            self._facts[stamp] = said  # type: ignore[assignment]
        elif isinstance(said, EmbeddingFacts) or reading.kind == "embedding":
            self._embeddings[stamp] = said  # type: ignore[assignment]
        else:
            self._checkpoints[stamp] = said
            self._beside[Path(stamp[0])] = reading.beside

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """Stamps of the files that were read, valid or not."""
        folders = (stamp for stamps, _ in self._folders.values() for stamp in stamps)
        beside = (stamp for stamps in self._beside.values() for stamp in stamps)
        files = (*self._facts, *self._embeddings, *self._checkpoints)
        return tuple(dict.fromkeys((*files, *folders, *beside)))

    def forget_all_but(self, files: Collection[Path]) -> None:
        """Drop everything that is cached for other files and folders."""
        kept = {str(file) for file in files}
        self._facts = {stamp: said for stamp, said in self._facts.items() if stamp[0] in kept}
        self._embeddings = {s: said for s, said in self._embeddings.items() if s[0] in kept}
        self._checkpoints = {
            stamp: said for stamp, said in self._checkpoints.items() if stamp[0] in kept
        }
        self._beside = {file: said for file, said in self._beside.items() if str(file) in kept}
        self._folders = {
            folder: said for folder, said in self._folders.items() if str(folder) in kept
        }
        self.sidecars.forget_all_but(files)


def _stamps(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """Of those that are there. Raises OSError if something is scarce."""
    found = []
    for file in files:
        try:
            status = status_of(file)
        except OSError as error:
            if is_scarce(error):
                raise
            found.append((str(file), -1, -1))
        else:
            if status:
                found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)


def stamps_now(stamps: Iterable[Stamp]) -> Iterator[Stamp]:
    """The same files' stamps as they are now, in order; -1 for those that cannot be looked at."""
    configured: dict[str, bool] = {}
    for path, _, _ in stamps:
        folder = path.rpartition(os.sep)[0]
        if folder not in configured:
            # Once for all files of a folder: there may be 10,000, and this is done all the time.
            configured[folder] = _has_config(folder)
        try:
            yield stamp_of(Path(path)) if configured[folder] else _stamp(path)
        except OSError:
            yield (path, -1, -1)


def _has_config(folder: str) -> bool:
    """Whether a folder may have peft's configuration."""
    try:
        return status_of(Path(folder, CONFIG_FILE)) is not None
    except OSError:
        return True


def stamp_of(file: Path) -> Stamp:
    """The stamp of a weight file, together with peft's configuration of it. Raises OSError."""
    path, size, changed = _stamp(str(file))
    config = config_file(file)
    if config is None:
        return (path, size, changed)
    beside = config.stat()
    return (path, size + beside.st_size, max(changed, beside.st_mtime_ns))


def _stamp(path: str) -> Stamp:
    status = os.stat(path)  # noqa: PTH116 – to make a path takes longer than this
    return (path, status.st_size, status.st_mtime_ns)


def _once(known: dict[Stamp, Said | HeaderError], file: Path, read: Callable[[], Said]) -> Said:
    """The result of `read` for `file`, cached until the file changes."""
    try:
        stamp = stamp_of(file)
    except OSError as error:
        if is_scarce(error):
            raise
        raise HeaderError(f"it cannot be opened ({reason_of(error)})") from None
    if stamp not in known:
        try:
            known[stamp] = read()
        except HeaderError as error:
            if fault := passing_fault(error):
                if is_scarce(fault):
                    raise fault from error
                raise
            known[stamp] = error
    said = known[stamp]
    if isinstance(said, HeaderError):
        raise HeaderError(str(said))
    return said
