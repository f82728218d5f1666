"""Parts: what the entries of a catalog need of the disk, as files that other machines can have too.

A part is a checkpoint, a VAE, a LoRA and so on: one file, or a folder of which the loader reads
several. Its digest is that of its only file, or of the lines `<digest>  <name>` of all; so two
machines with the same digest generate the same. One that is downloaded from the hub is known by its
repository, revision and file instead, before any of it is there.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from typing import Final, TypeAlias

from catalog import (
    AdapterEntry,
    Catalog,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
)
from catalog.families import FAMILIES
from catalog.weight_files.gguf import MODEL_SUFFIXES

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    MODEL = "model"
    VAE = "vae"
    TEXT_ENCODER = "text_encoder"
    CONFIG = "config"
    NETWORK = "network"
    ADAPTER = "adapter"
    EMBEDDING = "embedding"
    UPSCALER = "upscaler"
    REFERENCE = "reference"
    CONTROL = "control"
    DEPTH = "depth"
    POSE = "pose"
    DETECTOR = "detector"
    DESCRIBER = "describer"


REPLACING: Final = frozenset((Kind.VAE, Kind.TEXT_ENCODER))
"""Networks in place of a model's own, called after their folders in a pipeline."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part is, as an entry of a catalog says it.

    beside: the other file of an embedding, the folder of a reference's image encoder, or the folder
        of a network in a pipeline, which counts without its configuration.
    without: the networks of a model in diffusers' layout whose weights do not count, since the
        entry names others, sorted.
    """

    kind: Kind
    path: str
    weight_name: str | None = None
    revision: str | None = None
    beside: str = ""
    without: tuple[str, ...] = ()

    @property
    def hub_digest(self) -> str:
        """The digest of a part that is on the hub.

        Exact only with a commit as revision: else each machine has what it once downloaded.
        """
        named = (self.kind, self.path, self.revision or "main", self.weight_name, self.beside)
        lines = map(str, ("hub", *named, *self.without))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def lesser(self) -> tuple["Part", ...]:
        """What the same model is for entries that name more networks than this part is without. Who
        has this part, has these as well."""
        if self.kind is not Kind.MODEL or _is_file(self.path, self.weight_name):
            return ()
        without = {
            tuple(sorted({*self.without, *more}))
            for count in range(1, len(REPLACING) + 1)
            for more in combinations(REPLACING, count)
        }
        return tuple(replace(self, without=each) for each in sorted(without - {self.without}))

    def counts(self, name: str) -> bool:
        """Whether a file of this name below the part's root is one of its files."""
        folder, _, file = name.rpartition("/")
        weights = file.lower().endswith(MODEL_SUFFIXES) or ".index." in file
        return not (weights and folder in self.without)


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def part_of_model(entry: ModelEntry) -> Part:
    """The model itself."""
    single = _is_file(entry.path, entry.weight_name)
    without = () if single else tuple(sorted(entry.replaced))
    return Part(Kind.MODEL, entry.path, entry.weight_name, entry.revision, without=without)


def _is_file(path: str, weight_name: str | None) -> bool:
    """Whether a model is known to be a single file."""
    return weight_name is not None or path.lower().endswith(MODEL_SUFFIXES)


def parts_of_model(entry: ModelEntry, lent: Iterable[str] = ()) -> tuple[Part, ...]:
    """The model itself, then the networks that replace its own, its configuration, and the networks
    that it is lent, where it needs them. lent: those networks."""
    found = [part_of_model(entry), *replacing(entry)]
    if config := config_of(entry):
        found += [Part(Kind.CONFIG, config), *networks_in(entry.lent_by, lent)]
    return tuple(found)


def replacing(entry: ModelEntry) -> list[Part]:
    """The networks that are read instead of the model's own."""
    return [Part(Kind(network), path) for network, path in entry.replaced.items()]


def networks_in(config: str, networks: Iterable[str]) -> list[Part]:
    """The weights of networks that come with a configuration."""
    return [Part(Kind.NETWORK, config, beside=network) for network in networks]


def config_of(entry: ModelEntry) -> str | None:
    """The configuration that completes a single-file checkpoint; None if it is not known to be
    one."""
    single = _is_file(entry.path, entry.weight_name)
    return entry.completed_by if single else entry.config


Other: TypeAlias = (
    AdapterEntry
    | EmbeddingEntry
    | UpscalerEntry
    | ReferenceEntry
    | ControlNetEntry
    | DepthEntry
    | PoseEntry
    | DetectorEntry
    | DescriberEntry
)
"""An entry of one part."""


def part_of(entry: Other) -> Part:
    match entry:
        case AdapterEntry():
            return Part(Kind.ADAPTER, entry.path, entry.weight_name, entry.revision)
        case EmbeddingEntry():
            second = entry.second or ""
            return Part(Kind.EMBEDDING, entry.path, entry.weight_name, entry.revision, second)
        case UpscalerEntry():
            return Part(Kind.UPSCALER, entry.path, entry.weight_name, entry.revision)
        case ReferenceEntry():
            named = (entry.weight_name, entry.revision, entry.encoder)
            return Part(Kind.REFERENCE, entry.path, *named)
        case ControlNetEntry():
            return Part(Kind.CONTROL, entry.path, entry.weight_name, entry.revision)
        case DepthEntry():
            return Part(Kind.DEPTH, entry.path, revision=entry.revision)
        case PoseEntry():
            return Part(Kind.POSE, entry.path, revision=entry.revision)
        case DetectorEntry():
            return Part(Kind.DETECTOR, entry.path, revision=entry.revision)
        case DescriberEntry():
            return Part(Kind.DESCRIBER, entry.path, revision=entry.revision)


def parts_of_catalog(catalog: Catalog) -> Iterator[Part]:
    """All parts that orders for this catalog may need; some more than once."""
    for model in catalog.models.values():
        yield from parts_of_model(model, model.family.lent)
    for family in FAMILIES.values():
        yield from (Part(Kind.CONFIG, config) for config in family.configs)
        yield from networks_in(family.config, family.lent)
    others = (catalog.upscalers.entries, catalog.embeddings.entries, catalog.adapters)
    for entries in others:
        yield from map(part_of, entries.values())
    yield from map(part_of, catalog.references.values())
    yield from map(part_of, catalog.controlnets.entries.values())
    if catalog.controlnets.depth:
        yield part_of(catalog.controlnets.depth)
    if catalog.controlnets.pose:
        yield part_of(catalog.controlnets.pose)
    if catalog.detector:
        yield part_of(catalog.detector)
    if catalog.describer:
        yield part_of(catalog.describer)
