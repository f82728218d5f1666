"""Which files make up an entry of the catalog, and where they are on this machine."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from bot.engine.families import family_of
from bot.engine.hub import Hub
from bot.engine.selecting import (
    Select,
    Unfit,
    adapter_files,
    checkpoint_files,
    config_files,
    control_files,
    depth_files,
    describer_files,
    detector_files,
    network_files,
    network_weights,
    pose_files,
    reference_files,
    replacing_files,
    single_file,
)
from bot.engine.subject import Subject, public
from catalog.disk import files_below, is_file, may_pass
from catalog.locate import is_hub_id, locate, second_file
from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ImageCheckEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
)
from catalog.selecting import Names
from catalog.weight_files.gguf import MODEL_SUFFIXES

log = logging.getLogger(__name__)

TEXT_MAX: Final = 64 * 2**20
"""Bytes of a configuration or vocabulary; CLIP's largest has 4 MB."""


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one set of weights.

    root: folder that `files` are below.
    files: everything that the loader reads, sorted; just one for a single-file source.
    """

    root: Path
    files: tuple[Path, ...]

    @property
    def single(self) -> Path | None:
        """The single file, or None for a folder in diffusers layout."""
        return self.files[0] if len(self.files) == 1 else None

    @property
    def weights(self) -> tuple[Path, ...]:
        return tuple(path for path in self.files if path.suffix.lower() in MODEL_SUFFIXES)

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Path, size and modification time (ns) of every file; changes when the files do."""
        stats = [(str(path), path.stat()) for path in self.files]
        return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


@dataclass(frozen=True, slots=True)
class ReferenceFiles:
    """adapter: the IP-Adapter's one file. encoder: configuration and weights of its image encoder,
    directly below its root."""

    adapter: Source
    encoder: Source


class NotHere(Exception):
    """Files are not on this machine, and nothing is to be downloaded."""


class Sources:
    """Finds the files of entries, and downloads missing ones.

    hub: None to download nothing, but raise NotHere. half: prefer 16-bit variants where a
    repository has both.
    """

    def __init__(self, models_dir: Path, hub: Hub | None, *, half: bool) -> None:
        self._models_dir = models_dir
        self._hub = hub
        self._half = half
        self._told: set[tuple[str, tuple[Path, ...]]] = set()

    def checkpoint(self, entry: ModelEntry, subject: Subject) -> Source:
        """The model itself: a diffusers folder, without the weights that others replace, or one
        file."""
        files, named = family_of(entry).files, entry.weight_name
        source = self._find(
            entry.path,
            lambda names: checkpoint_files(
                names, files, named, half=self._half, replaced=entry.replaced
            ),
            subject,
            entry.weight_name,
            entry.revision,
        )
        self._tell(entry.key, source)
        return source

    def _tell(self, key: str, source: Source) -> None:
        """Log which of the variants that a folder has are read, once."""
        if source.single is None and (key, source.files) not in self._told:
            self._told.add((key, source.files))
            chosen = (path.relative_to(source.root).as_posix() for path in source.weights)
            log.info("Model %s: reading %s", key, ", ".join(chosen))

    def replacing(self, entry: ModelEntry, subject: Subject) -> dict[str, Source]:
        """The networks that replace the model's own, with the configuration of each that has one,
        by name."""
        bases = family_of(entry).files.weights

        def source(network: str, path: str) -> Source:
            def select(names: Names) -> tuple[str, ...]:
                return replacing_files(names, network, bases[network], half=self._half)

            return self._find(path, select, subject)

        return {network: source(network, path) for network, path in entry.replaced.items()}

    def config(self, entry: ModelEntry, lacking: Collection[str], subject: Subject) -> Source:
        """Configuration and tokenizers for a single-file checkpoint, and the weights of the
        networks that it is `lacking`."""
        files = family_of(entry).files

        def select(names: Names) -> tuple[str, ...]:
            weights = [
                name
                for part in lacking
                for name in network_weights(names, f"{part}/", files.weights[part], half=self._half)
            ]
            return tuple(sorted({*config_files(names, files), *weights}))

        return self._find(entry.completed_by, select, subject)

    def network(self, entry: ModelEntry, network: str, path: str, subject: Subject) -> Source:
        """The weights of one network, without its configuration.

        path: folder of them alone, or hub id or folder of a pipeline that they are in.
        """
        base = family_of(entry).files.weights[network]

        def select(names: Names) -> tuple[str, ...]:
            # What is here of a repository may be another file alone, beside its networks' folders.
            inside = is_hub_id(path) or any(name.startswith(f"{network}/") for name in names)
            below = f"{network}/" if inside else ""
            return tuple(sorted(network_weights(names, below, base, half=self._half)))

        found = self._find(path, select, subject).weights
        return Source(found[0].parent, found)

    def adapter(self, entry: AdapterEntry, subject: Subject) -> Path:
        """The adapter's one file. peft's configuration of it lies beside it, if it has one."""
        return self._one_file(entry, entry.weight_name, subject)

    def embedding(self, entry: EmbeddingEntry, subject: Subject) -> Source:
        """The embedding's file, or its two: the first text encoder's, then the second's."""
        first = self._one_file(entry, entry.weight_name, subject)
        if entry.second is None:
            return Source(first.parent, (first,))
        second = second_file(first, entry.second)
        if not is_file(second):
            second = self._one_file(entry, entry.second, subject)
        if second == first:
            raise subject.failed("embedding.missing", path=entry.second)
        return Source(first.parent, (first, second))

    def upscaler(self, entry: UpscalerEntry, subject: Subject) -> Path:
        """The upscaler's one file."""
        return self._one_file(entry, entry.weight_name, subject)

    def _one_file(
        self,
        entry: AdapterEntry | EmbeddingEntry | UpscalerEntry,
        name: str | None,
        subject: Subject,
    ) -> Path:
        source = self._find(
            entry.path,
            lambda names: adapter_files(names, name),
            subject,
            name,
            entry.revision,
        )
        return source.files[0]

    def reference(self, entry: ReferenceEntry, subject: Subject) -> ReferenceFiles:
        """The IP-Adapter for reference images, and its image encoder."""
        found = self._find(
            entry.path,
            lambda names: reference_files(names, entry, half=self._half),
            subject,
            entry.weight_name,
            entry.revision,
            folders=(entry.encoder,),
        )
        adapter, *encoder = found.files
        return ReferenceFiles(
            Source(adapter.parent, (adapter,)), Source(found.root / entry.encoder, tuple(encoder))
        )

    def control(self, entry: ControlNetEntry, subject: Subject) -> Source:
        """The ControlNet's weights, and the configuration beside them where there is one."""
        return self._find(
            entry.path,
            lambda names: control_files(names, entry.weight_name, half=self._half),
            subject,
            entry.weight_name,
            entry.revision,
        )

    def depth(self, entry: DepthEntry, subject: Subject) -> Source:
        """The configuration and weights of the network that tells depth."""
        return self._find(
            entry.path,
            lambda names: depth_files(names, half=self._half),
            subject,
            revision=entry.revision,
        )

    def pose(self, entry: PoseEntry, subject: Subject) -> Source:
        """The configuration and weights of the network that tells poses."""
        return self._find(
            entry.path,
            lambda names: pose_files(names, half=self._half),
            subject,
            revision=entry.revision,
        )

    def detector(self, entry: DetectorEntry, subject: Subject) -> Source:
        """The configuration, words and weights of the network that finds what a word names."""
        return self._find(
            entry.path,
            lambda names: detector_files(names, half=self._half),
            subject,
            revision=entry.revision,
        )

    def describer(self, entry: DescriberEntry, subject: Subject) -> Source:
        """The configuration, tokenizer and weights of the network that writes what is in an
        image."""
        return self._find(
            entry.path,
            lambda names: describer_files(names, half=self._half),
            subject,
            revision=entry.revision,
        )

    def image_check(self, entry: ImageCheckEntry, subject: Subject) -> Source:
        """The configuration and weights of the network that judges images."""
        found = self._find(
            entry.path,
            lambda names: network_files(names, entry.folder, half=self._half),
            subject,
            revision=entry.revision,
            folders=(entry.folder,),
        )
        return Source(found.root / entry.folder, found.files)

    def without_downloads(self) -> "Sources":
        """The same files, as far as they are here."""
        found = Sources(self._models_dir, None, half=self._half)
        found._told = self._told
        return found

    def adapter_here(self, entry: AdapterEntry) -> Path | None:
        """The adapter's one file, if it is on this machine; OSError as from `_find`."""
        place = locate(entry.path, self._models_dir, entry.weight_name, entry.revision).settled()
        if place.kind == "file" or not place.path:
            return place.path
        try:
            deeper = _folder_of(entry.weight_name)
            names = single_file(files_below(place.path, deeper), entry.weight_name)
        except Unfit:
            return None
        except OSError as error:
            if may_pass(error):
                raise
            return None
        return place.path / names[0]

    def _find(
        self,
        path: str,
        select: Select,
        subject: Subject,
        weight_name: str | None = None,
        revision: str | None = None,
        folders: Collection[str] = (),
    ) -> Source:
        """folders: folders below `path`, at any depth, whose files may be chosen too, as may those
        beside `weight_name`.

        Raises JobFailed, and OSError if the files may be found later; without a hub, NotHere.
        """
        place = locate(path, self._models_dir, weight_name, revision)
        deeper = (*folders, *_folder_of(weight_name))
        if place.kind == "missing" and self._hub is None:
            raise NotHere(public(path))
        if place.kind == "file" and place.path:
            return Source(place.path.parent, (place.path,))
        if place.kind == "missing":
            raise subject.failed(
                "model.missing",
                "adapter.missing",
                "embedding.missing",
                "upscaler.missing",
                "reference.missing",
                "control.missing",
                "depth.missing",
                "pose.missing",
                "detector.missing",
                "describer.missing",
                path=public(path),
            )
        try:
            if place.error:
                raise place.error
            if place.path:
                # A snapshot from the hub may be incomplete; the rest is then downloaded.
                try:
                    return _source(place.path, select(files_below(place.path, deeper)))
                except Unfit:
                    if place.kind == "folder":
                        # What lies deeper is not read; the error names it.
                        select(files_below(place.path, deeper, depth=2))
                        raise
            if self._hub is None:
                raise NotHere(public(path))
            return _source(*self._hub.fetch(path, revision, select, subject))
        except Unfit as error:
            raise subject.failed(*error.codes, path=public(path), **error.params) from None
        except OSError as error:
            if may_pass(error):
                raise
            raise subject.unread(Path(path), error) from error


def _folder_of(weight_name: str | None) -> tuple[str, ...]:
    """The folder that a named file is in, unless that is the place itself."""
    folder = PurePosixPath(weight_name or "").parent
    return (folder.as_posix(),) if folder.parts else ()


def _source(folder: Path, names: tuple[str, ...]) -> Source:
    files = tuple(folder / name for name in names)
    for file in files:
        if file.suffix.lower() not in MODEL_SUFFIXES and file.stat().st_size > TEXT_MAX:
            reason = f"{file.name} is larger than {TEXT_MAX >> 20} MiB"
            codes = (
                "reference.unreadable",
                "control.unreadable",
                "depth.unreadable",
                "pose.unreadable",
                "detector.unreadable",
                "describer.unreadable",
            )
            raise Unfit("model.unreadable", *codes, reason=reason)
    return Source(folder, files)
