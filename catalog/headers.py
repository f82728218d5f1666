"""HeaderCache: what weight files say about themselves, kept between two reads of the catalog."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from catalog.disk import files_below, is_scarce, reason_of
from catalog.shelf import Shelf
from catalog.sidecars import Sidecar, Sidecars, names_beside
from catalog.stamps import Stamp, Stamping, stamps_of
from catalog.unread import NotReadYet, Unread
from catalog.weight_files import (
    EMBEDDING,
    AdapterFacts,
    CheckpointFacts,
    ControlNetFacts,
    EmbeddingFacts,
    HeaderError,
    UnreadableFile,
    UpscalerFacts,
    adapter_facts,
    checkpoint_facts,
    controlnet_facts,
    embedding_facts,
    paired_facts,
    read_configs,
    read_header,
    read_model_header,
    upscaler_facts,
)
from catalog.weight_files.evidence import beside_checkpoint
from catalog.weight_files.pipeline import (
    WATCHED,
    FolderFacts,
    NetworkFacts,
    autoencoder_facts,
    encoder_facts,
    folder_facts,
)

SIDECAR: Final = "sidecar"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file said when it, and all that was read for it, had these stamps.

    kind: "adapter", "embedding", "pair", "checkpoint", "folder", "autoencoder", "encoder",
    "upscaler", "controlnet" or SIDECAR. path: of the file; of the second file of a pair, of the
    weight file that a sidecar belongs to.
    """

    kind: str
    path: str
    stamps: tuple[Stamp, ...]
    said: object

    @property
    def key(self) -> tuple[str, ...]:
        """Of two readings with the same key, the later one counts."""
        own = (self.stamps[0][0],) if self.kind == SIDECAR else ()
        return (self.kind, self.path, *own)


@dataclass(slots=True)
class HeaderCache:
    """What the headers of weight files, and the files next to them, said between two reads.

    Where a file is not known, and the time for its kind is up, NotReadYet is raised by all of
    these; by default, it never is. All raise OSError if something is scarce (see `catalog.disk`),
    so that nothing can be said now.
    """

    adapters: Shelf[AdapterFacts] = field(default_factory=lambda: Shelf(AdapterFacts))
    embeddings: Shelf[EmbeddingFacts] = field(default_factory=lambda: Shelf(EmbeddingFacts))
    pairs: Shelf[EmbeddingFacts] = field(default_factory=lambda: Shelf(EmbeddingFacts))
    checkpoints: Shelf[CheckpointFacts] = field(default_factory=lambda: Shelf(CheckpointFacts))
    folders: Shelf[FolderFacts] = field(default_factory=lambda: Shelf(FolderFacts))
    autoencoders: Shelf[NetworkFacts] = field(default_factory=lambda: Shelf(NetworkFacts))
    encoders: Shelf[NetworkFacts] = field(default_factory=lambda: Shelf(NetworkFacts))
    upscalers: Shelf[UpscalerFacts] = field(default_factory=lambda: Shelf(UpscalerFacts))
    controlnets: Shelf[ControlNetFacts] = field(default_factory=lambda: Shelf(ControlNetFacts))
    sidecars: Sidecars = field(default_factory=Sidecars)
    _until: tuple[float, float] | None = None
    _read_one: bool = False
    _stamping: Stamping = field(default_factory=Stamping)
    _listed: dict[Path, tuple[tuple[Stamp, ...], Collection[str]]] = field(default_factory=dict)

    @property
    def shelves(self) -> Mapping[str, Shelf[Any]]:
        """By the kind of their readings."""
        return {
            "adapter": self.adapters,
            "embedding": self.embeddings,
            "pair": self.pairs,
            "checkpoint": self.checkpoints,
            "folder": self.folders,
            "autoencoder": self.autoencoders,
            "encoder": self.encoders,
            "upscaler": self.upscalers,
            "controlnet": self.controlnets,
        }

    def hurry(self, adapters: float | None, others: float = 0) -> None:
        """From now on, read unknown files only for so many seconds; None: read all of them.

        others: of checkpoints and embeddings. One checkpoint is read in any case.
        """
        now = time.monotonic()
        self._until = None if adapters is None else (now + adapters, now + others)
        self._read_one = False

    def look_again(self) -> None:
        """Files may have come and gone since the last time."""
        self._stamping = Stamping()
        self._listed = {}

    def files_below(self, folder: Path) -> Collection[str]:
        """As `disk.files_below`, once until `look_again`: many models are completed by the same.
        That files come into the folder, or go, counts as a change of what was read."""
        if (known := self._listed.get(folder)) is not None:
            return known[1]
        names = files_below(folder)
        inner = sorted({name.partition("/")[0] for name in names if "/" in name})
        stamps = stamps_of((folder, *(folder / name for name in inner)))
        self._listed[folder] = stamps, names
        return names

    def weights(self, files: Sequence[Path]) -> str | None:
        """Why weights in these files, which are read together, cannot be read; None if they can.

        Raises HeaderError if one is broken.
        """
        try:
            return next(filter(None, (self.checkpoint(file).quantised for file in files)), None)
        except NotReadYet:
            raise NotReadYet(Unread("checkpoint", tuple(map(str, files)))) from None

    def checkpoint(self, file: Path) -> CheckpointFacts:
        """What a file in the place of a checkpoint is. Raises HeaderError if it is broken."""
        stamps = (self._stamp(file), *stamps_of(beside_checkpoint(file)))
        self._allow(Unread("checkpoint", (str(file),)), stamps)

        def read() -> CheckpointFacts:
            try:
                return checkpoint_facts(file, read_model_header(file))
            except HeaderError:
                raise
            except OSError as error:
                raise UnreadableFile(f"it cannot be read ({reason_of(error)})") from error

        said = self.checkpoints.once(str(file), stamps, read)
        self._read_one = True
        return said

    def folder(self, folder: Path) -> FolderFacts:
        """What a folder in diffusers' layout says about the model in it.

        Raises OSError if its configurations cannot be read.
        """
        stamps = stamps_of(folder / name for name in WATCHED)
        return self.folders.once(str(folder), stamps, lambda: folder_facts(folder))

    def autoencoder(self, config: Path) -> NetworkFacts:
        """What the configuration of a VAE in diffusers' layout says. Raises OSError."""
        stamps = stamps_of((config,))
        return self.autoencoders.once(str(config), stamps, lambda: autoencoder_facts(config))

    def encoder(self, config: Path) -> NetworkFacts:
        """What the configuration of a text encoder says. Raises OSError."""
        stamps = stamps_of((config,))
        return self.encoders.once(str(config), stamps, lambda: encoder_facts(config))

    def facts(
        self, file: Path, beside: Collection[str] = (), *, at_once: bool = False
    ) -> AdapterFacts:
        """What an adapter file says about itself. Raises HeaderError if the file is broken.

        beside: names of the files in its folder, of which its sidecars are read as well if it is
        put off. at_once: never put it off.
        """
        stamps = (self._stamp(file),)
        if not at_once:
            unread = Unread("adapter", (str(file),))
            self._allow(unread, stamps, names_beside(file, beside) if beside else ())

        def read() -> AdapterFacts:
            header = read_header(file)
            configs = read_configs(file, header.metadata)
            return adapter_facts(header.shapes, header.metadata, configs)

        return self.adapters.once(str(file), stamps, read)

    def embedding(self, file: Path, *, surely: bool = True) -> EmbeddingFacts:
        """What an embedding file says about itself. surely: see `embedding_facts`.

        Raises HeaderError if the file is broken or something else.
        """
        stamps = (self._stamp(file),)
        kind = "embedding" if surely else "adapter"
        if not self.embeddings.knows(str(file), stamps):
            self._allow(Unread(kind, (str(file),)), None)

        def read() -> EmbeddingFacts:
            facts = embedding_facts(read_header(file), surely=surely)
            if facts is None:
                raise HeaderError("it is not an embedding (textual inversion)")
            return facts

        return self.embeddings.once(str(file), stamps, read)

    def upscaler(self, file: Path) -> UpscalerFacts:
        """What the file of an upscaler says; never put off, because they are few and small.

        Raises HeaderError if the file is broken or something else.
        """
        stamps = (self._stamp(file),)

        return self.upscalers.once(
            str(file), stamps, lambda: upscaler_facts(read_header(file).shapes)
        )

    def controlnet(self, file: Path) -> ControlNetFacts:
        """What the file of a ControlNet says; never put off, because they are few.

        Raises HeaderError if the file is broken or something else.
        """
        stamps = (self._stamp(file),)

        def read() -> ControlNetFacts:
            try:
                return controlnet_facts(read_header(file), file)
            except HeaderError:
                raise
            except OSError as error:
                raise UnreadableFile(f"it cannot be read ({reason_of(error)})") from error

        return self.controlnets.once(str(file), stamps, read)

    def embedding_in_two(self, first: Path, second: Path) -> EmbeddingFacts | None:
        """What an embedding in two files says about itself; None if they are no such files."""
        try:
            stamps = (self._stamp(second), self._stamp(first))
            self._allow(Unread("pair", (str(second), str(first))), stamps)

            def read() -> EmbeddingFacts:
                if any(len(self.embedding(file).parts) > 1 for file in (first, second)):
                    raise HeaderError("each is an embedding for two text encoders")
                facts = paired_facts(read_header(first), read_header(second))
                if facts is None:
                    raise HeaderError("they are no embedding in two files")
                return facts

            return self.pairs.once(str(second), stamps, read)
        except HeaderError:
            return None

    def read(self, unread: Unread) -> Iterator[Reading]:
        """Read a file that was put off; yields everything new that is to be kept."""
        self.look_again()
        until, self._until = self._until, None
        file = Path(unread.paths[0])
        try:
            match unread.kind:
                case "adapter":
                    if self.facts(file).algorithm == EMBEDDING:
                        self.embedding(file, surely=False)
                case "embedding":
                    self.embedding(file)
                case "checkpoint":
                    for path in unread.paths:
                        self.checkpoint(Path(path))
                case "pair":
                    self.embedding_in_two(Path(unread.paths[1]), file)
        except HeaderError:
            pass  # cached, as everything that a file says
        finally:
            self._until = until
        if unread.beside:
            self.sidecars.of(file, unread.beside)
        for path in unread.paths:
            yield from self._readings_of(path)

    def _readings_of(self, path: str) -> Iterator[Reading]:
        for kind, shelf in self.shelves.items():
            if known := shelf.lasting(path):
                yield Reading(kind, path, *known)
        for stamp, said in self.sidecars.sound_of(Path(path)):
            yield Reading(SIDECAR, path, (stamp,), said)

    def readings(self) -> Iterator[Reading]:
        """All that is cached, but for sidecars with problems, to be kept."""
        paths = (path for shelf in self.shelves.values() for path in shelf)
        for path in dict.fromkeys((*paths, *map(str, self.sidecars.files))):
            yield from self._readings_of(path)

    def restore(self, reading: Reading) -> None:
        """Put back what `readings` gave; it counts as long as the file has those stamps."""
        if isinstance(reading.said, Sidecar):
            self.sidecars.restore(Path(reading.path), reading.stamps[0], reading.said)
        elif shelf := self.shelves.get(reading.kind):
            shelf.put(reading.path, reading.stamps, reading.said)

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        """Stamps of the files that were read, valid or not, and of the folders that were listed."""
        read = (shelf.stamps for shelf in self.shelves.values())
        listed = (stamps for stamps, _ in self._listed.values())
        return tuple(dict.fromkeys(chain.from_iterable(chain(read, listed))))

    def forget_all_but(self, files: Collection[Path]) -> None:
        """Drop everything that is cached for other files and folders."""
        kept = {str(file) for file in files}
        for shelf in self.shelves.values():
            shelf.forget_all_but(kept)
        self.sidecars.forget_all_but(files)

    def _stamp(self, file: Path) -> Stamp:
        """Raises HeaderError if the file cannot be looked at."""
        try:
            return self._stamping.of(file)
        except OSError as error:
            if is_scarce(error):
                raise
            raise HeaderError(f"it cannot be opened ({reason_of(error)})") from None

    def _allow(
        self, unread: Unread, stamps: tuple[Stamp, ...] | None, beside: Iterable[str] = ()
    ) -> None:
        """Raises NotReadYet if a file is not known and has to wait."""
        if self._until is None:
            return
        of_adapter = unread.kind == "adapter"
        if time.monotonic() < self._until[0 if of_adapter else 1]:
            return
        if unread.kind == "checkpoint" and not self._read_one:
            return
        shelf = self.shelves[unread.kind]
        if stamps is None or not shelf.knows(unread.paths[0], stamps):
            raise NotReadYet(Unread(unread.kind, unread.paths, tuple(beside)))
