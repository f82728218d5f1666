"""Which files of a network to read, of all the variants and shards that a folder has."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAIN: Final = ""
"""The variant without a name."""
_HALF: Final = ("fp16", MAIN, "fp32", "ema", "ema_only", "bf16")
_FULL: Final = (MAIN, "fp32", "ema", "ema_only", "fp16", "bf16")
"""Variants in the order in which they are taken, for 16-bit and for 32-bit computing."""
_LAST: Final = "non_ema"
"""Weights from the middle of a training, which only its continuation needs."""

_VARIANT: Final = r"(?:\.[A-Za-z]\w*)*?"
_SHARD: Final = r"-(?P<number>\d{1,6})-of-(?P<count>\d{1,6})"


@dataclass(frozen=True, slots=True)
class WeightSet:
    """One complete set of a network's weights. name: "fp16", "non_ema", …, or MAIN."""

    name: str
    files: tuple[str, ...]


class MissingShard(Exception):
    """The only sets of files are incomplete; the message is the name of a file that is missing."""


def weight_files(
    names: Collection[str], folder: str, bases: Iterable[str], *, half: bool
) -> tuple[WeightSet, ...]:
    """Every complete set of weights in `folder`, the one to use first; empty if there is none.

    names: all files. folder: "" or one that ends in a slash. bases: what the names of the weight
    files begin with, the usual one first. half: whether the engine computes in 16 bits.
    Raises MissingShard if shards are all there is, and some are missing.
    """
    missing = ""
    for base in bases:
        sets, lacking = _sets(names, folder, base)
        if sets:
            order = _HALF if half else _FULL
            return tuple(sorted(sets, key=lambda variant: _rank(variant, order)))
        missing = missing or lacking
    if missing:
        raise MissingShard(missing)
    return ()


def indexes(names: Collection[str], folder: str, base: str, variant: WeightSet) -> list[str]:
    """The list of a variant's shards. Nothing needs it, but it counts as one of the files."""
    dotted = f".{variant.name}" if variant.name else ""
    spellings = (f"{base}.safetensors.index{dotted}.json", f"{base}{dotted}.safetensors.index.json")
    return [name for end in spellings if (name := folder + end) in names][:1]


def _rank(variant: WeightSet, order: tuple[str, ...]) -> tuple[bool, int, int, str]:
    known = order.index(variant.name) if variant.name in order else len(order)
    return (_LAST in variant.name, known, len(variant.files), variant.name)


def _sets(names: Iterable[str], folder: str, base: str) -> tuple[list[WeightSet], str]:
    """The complete sets of one base name, and a file that an incomplete one lacks."""
    pattern = re.compile(
        rf"{re.escape(folder + base)}(?P<before>{_VARIANT})(?:{_SHARD}(?P<after>{_VARIANT}))?"
        r"\.safetensors"
    )
    whole: dict[str, str] = {}
    shards: dict[tuple[str, int], dict[int, re.Match[str]]] = {}
    for name in sorted(names):
        if not (match := pattern.fullmatch(name)):
            continue
        if match["number"] is None:
            whole.setdefault(match["before"].lstrip("."), name)
        else:
            variant = (match["before"] + match["after"]).lstrip(".")
            # Two spellings of one shard are the same file twice; the first is taken.
            shards.setdefault((variant, int(match["count"])), {}).setdefault(
                int(match["number"]), match
            )
    sets = [WeightSet(variant, (name,)) for variant, name in whole.items()]
    lacking = ""
    for (variant, count), found in shards.items():
        wanted = _numbers(found, count)
        absent = next((number for number in wanted if number not in found), None)
        if absent is not None:
            lacking = lacking or _sibling(found, absent)
        elif variant not in whole:
            sets.append(WeightSet(variant, tuple(found[number].string for number in wanted)))
    return sets, lacking


def _numbers(found: Mapping[int, object], count: int) -> range:
    """The numbers of all shards: from 1, or from 0 as some programs count."""
    return range(count) if 0 in found else range(1, count + 1)


def _sibling(found: Mapping[int, re.Match[str]], number: int) -> str:
    match = next(iter(found.values()))
    start, end = match.span("number")
    return f"{match.string[:start]}{number:0{end - start}d}{match.string[end:]}"
