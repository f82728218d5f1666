"""Readings: which of a part's files an engine reads, told by their names, and which digest a recipe
therefore has of it. Which of several variants is taken depends on the card."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bot.distributed.bundles import WEIGHTS, digest_of
from bot.distributed.parts import REPLACING, Kind, Part
from bot.engine.selecting import (
    Unfit,
    checkpoint_files,
    config_files,
    control_files,
    depth_files,
    describer_files,
    detector_files,
    network_files,
    network_weights,
    pose_files,
    replacing_files,
)
from catalog.families import FAMILIES, PipelineFiles
from catalog.weight_files.gguf import MODEL_SUFFIXES

_OF_ANY: Final = tuple(family.files for family in FAMILIES.values())


@dataclass(frozen=True, slots=True)
class Contents:
    """The name and digest of each file of a part, the one first that it is named after. folder:
    whether it is opened as one."""

    digests: tuple[tuple[str, str], ...]
    folder: bool


def is_whole(part: Part, names: Sequence[str], *, folder: bool) -> bool:
    """Whether files of these names are all that is read of a part, which is opened as a folder or
    not. What is in the cache of the hub may have been downloaded for something else."""
    return any(True for _ in _readings(part, names, _OF_ANY, folder=folder))


def digests_of(part: Part, contents: Contents, files: PipelineFiles) -> frozenset[str]:
    """Those that a recipe may have of a part, as the engine computes them: of the only file, or of
    all by their names. files: of the model's family."""
    digests = dict(contents.digests)
    below = f"{part.beside}/" if part.kind is Kind.REFERENCE else ""
    return frozenset(
        digest_of(
            [name.removeprefix(below) for name in reading],
            [digests[name] for name in reading],
            folder=False,
        )
        for reading in _readings(part, [*digests], (files,), folder=contents.folder)
    )


def _readings(
    part: Part, names: Sequence[str], families: Collection[PipelineFiles], *, folder: bool
) -> Iterator[tuple[str, ...]]:
    """The files that an engine reads, in 16 bits or in 32, of each family they are whole for."""
    for half in (True, False):
        for files in families:
            try:
                yield _reading(part, names, files, folder=folder, half=half)
            except Unfit:
                continue


def _reading(
    part: Part, names: Sequence[str], files: PipelineFiles, *, folder: bool, half: bool
) -> tuple[str, ...]:
    """Raises Unfit."""
    match part.kind:
        case Kind.MODEL if folder:
            return checkpoint_files(names, files, None, half=half, replaced=part.without)
        case Kind.CONFIG:
            return config_files(names, files)
        case kind if folder and kind in REPLACING:
            return replacing_files(names, kind, WEIGHTS[kind], half=half)
        case Kind.NETWORK:
            found = network_weights(names, "", WEIGHTS[part.beside], half=half)
            return tuple(name for name in found if name.endswith(MODEL_SUFFIXES))
        case Kind.REFERENCE:
            return network_files(names, part.beside, half=half)
        case Kind.DEPTH:
            return depth_files(names, half=half)
        case Kind.POSE:
            return pose_files(names, half=half)
        case Kind.DETECTOR:
            return detector_files(names, half=half)
        case Kind.DESCRIBER:
            return describer_files(names, half=half)
        case Kind.CONTROL if folder:
            return control_files(names, part.weight_name, half=half)
        case Kind.EMBEDDING:
            return (*names,)
        case _:
            return (*names[:1],)
