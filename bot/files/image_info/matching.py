"""Which of an image's models and LoRAs this catalog has: by hash first, then by name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bot.files.image_info.model import ImageInfo, NamedFile
from catalog import Catalog

Hashes: TypeAlias = Mapping[str, tuple[str, ...]]
"""By catalog key, as far as they are known: a file's sha256, a LoRA's AutoV3."""

_HASH_MIN: Final = 8
_GENERIC: Final = "model"
"""What many programs call a file of which they do not know the name."""


@dataclass(frozen=True, slots=True)
class Match:
    """key: in the catalog; None if it has no such file, or several.

    other: the catalog's file has this name, but another hash.
    """

    file: NamedFile
    key: str | None = None
    other: bool = False


@dataclass(frozen=True, slots=True)
class Matches:
    """model: None if the image names none. loras: in the order of the image's."""

    model: Match | None = None
    loras: tuple[Match, ...] = field(default=())


def matches_of(info: ImageInfo, catalog: Catalog, hashes: Hashes, *, nsfw: bool) -> Matches:
    """Look the files of `info` up among what is offered.

    nsfw: whether entries marked NSFW may be named where the result is shown.
    """
    models = {entry.key for entry in catalog.offered_models(nsfw=nsfw)}
    adapters = {entry.key for entry in catalog.offered_adapters(nsfw=nsfw)}
    model = None
    if info.model is not None:
        named = catalog.models_called(info.model.name)
        model = _match(info.model, named, models, hashes)
    return Matches(
        model,
        tuple(
            _match(lora, catalog.adapters_called(lora.name), adapters, hashes)
            for lora in info.loras
        ),
    )


def _match(
    file: NamedFile, named: Collection[str], offered: Collection[str], hashes: Hashes
) -> Match:
    by_hash = [key for key in hashes if key in offered and _same(file.hashes, hashes[key])]
    if len(by_hash) == 1:
        return Match(file, by_hash[0])
    usable = [key for key in named if key in offered]
    if len(usable) != 1 or file.name.casefold() == _GENERIC:
        return Match(file)
    return Match(file, usable[0], other=_differ(file.hashes, hashes.get(usable[0], ())))


def _same(some: Collection[str], known: Collection[str]) -> bool:
    """Whether one of each is the same hash, of which one may be cut."""
    return any(
        len(one) >= _HASH_MIN and (one.startswith(two) or two.startswith(one))
        for one in some
        for two in known
        if len(two) >= _HASH_MIN
    )


def _differ(some: Collection[str], known: Collection[str]) -> bool:
    return bool(some and known) and not _same(some, known)
