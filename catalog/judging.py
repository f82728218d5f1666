"""Judge the files of models before they are used: what is no checkpoint is not offered."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from catalog.dropins import named
from catalog.families import Family, of_architecture, of_repository
from catalog.families.stated import NOTHING
from catalog.headers import HeaderCache
from catalog.judging_networks import (
    name_of,
    network_files,
    unfit_networks,
    unjudged_if_unreadable,
)
from catalog.locate import checkpoint_file, locate
from catalog.presence import Lacking
from catalog.schema import ModelEntry
from catalog.schema.model import names_of
from catalog.unfit import Unfit, undecided
from catalog.unread import NotReadYet, Unread
from catalog.weight_files import CheckpointFacts
from catalog.weight_files.pipeline import FolderFacts


@dataclass(frozen=True, slots=True)
class Judged:
    """What the files of models that are on this machine say, by key.

    unfit: why it cannot be used. lacking: see `Catalog.lacking`. later: a model of which a file has
    to be read first that is read later.
    """

    unfit: dict[str, Unfit] = field(default_factory=dict)
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    later: dict[str, Unread] = field(default_factory=dict)


def judged(models: Iterable[ModelEntry], models_dir: Path, headers: HeaderCache) -> Judged:
    """Judge the files of these models. Broken ones are not judged: they are reported elsewhere.

    headers: updated. Raises OSError if one may be judged later.
    """
    found = Judged()
    for model in models:
        try:
            why = _unfit(model, models_dir, headers, found.lacking)
        except NotReadYet as waits:
            stem = waits.unread.file.stem
            found.later[model.key] = named(waits.unread, stem, model.key, model.name)
        else:
            if why:
                found.unfit[model.key] = why
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """What is known about a model without its entry; None where nothing says.

    family: by its files, or by its well-known repository. prediction, zero_snr, variant: as in
    `ModelEntry`, where the second is `zero_terminal_snr`.
    """

    family: Family | None = None
    prediction: str | None = None
    zero_snr: bool | None = None
    variant: str | None = None


def told(
    path: str,
    models_dir: Path,
    headers: HeaderCache,
    weight_name: str | None = None,
    revision: str | None = None,
) -> Told:
    """What the files of a model say; the arguments are fields of its entry.

    headers: updated. Raises NotReadYet, and OSError if they may tell later.
    """
    place = locate(path, models_dir, weight_name, revision).settled()
    with unjudged_if_unreadable():
        if file := checkpoint_file(place, weight_name):
            facts = headers.checkpoint(file)
            family = of_architecture(facts.model) or of_repository(path)
            return _told(family, facts, path, weight_name)
        if place.path:
            said = headers.folder(place.path)
            family = of_architecture(said.model) or of_repository(path)
            return _told(family, said, path, weight_name)
    return Told(of_repository(path))


def _told(
    family: Family | None, facts: CheckpointFacts | FolderFacts, path: str, weight_name: str | None
) -> Told:
    variant = family and family.told(names_of(path, weight_name), path, facts.stated)
    return Told(family, facts.prediction, facts.zero_snr, variant.name if variant else None)


def files_of(
    models: Iterable[ModelEntry],
    models_dir: Path,
    headers: HeaderCache,
    lacking: Lacking,
) -> Iterator[Path]:
    """The files and folders of models that are on this machine. headers, lacking: as for
    `network_files`."""
    for model in models:
        place = locate(model.path, models_dir, model.weight_name, model.revision)
        with unjudged_if_unreadable():
            if found := checkpoint_file(place, model.weight_name) or place.path:
                yield found
            yield from network_files(model, place, models_dir, headers, lacking)


def replacements_of(
    models: Iterable[ModelEntry], models_dir: Path, headers: HeaderCache
) -> frozenset[Path]:
    """The files that are the VAE or the text encoder of one of the models, by its entry, and cannot
    be a model of their own.

    headers: updated. Raises OSError.
    """
    found = set()
    for path in (path for model in models for path in model.replaced.values()):
        place = locate(path, models_dir)
        with unjudged_if_unreadable(), contextlib.suppress(NotReadYet):
            if place.kind == "file" and place.path and not headers.checkpoint(place.path).model:
                found.add(place.path.resolve())
    return frozenset(found)


def _unfit(
    model: ModelEntry, models_dir: Path, headers: HeaderCache, lacking: dict[str, tuple[str, ...]]
) -> Unfit | None:
    """lacking: gets what its file has not got."""
    place = locate(model.path, models_dir, model.weight_name, model.revision).settled()
    stated = NOTHING
    with unjudged_if_unreadable():
        if file := checkpoint_file(place, model.weight_name):
            facts = headers.checkpoint(file)
            stated = facts.stated
            if facts.lacking:
                lacking[model.key] = facts.lacking
            refusal = facts.unfit(
                of=model.family.architectures,
                config=model.config is not None,
                prediction=model.prediction is not None,
            )
            if refusal:
                packed = model.family if facts.model and refusal.unread else None
                return Unfit(file.name, refusal, quantised=packed)
        elif place.path:
            said = headers.folder(place.path)
            stated = said.stated
            refusal = said.unfit(
                of=model.family.architectures, prediction=model.prediction is not None
            )
            if refusal:
                packed = model.family if refusal.unread else None
                return Unfit(name_of(place, model.path), refusal, quantised=packed)
    possible = model.family.possible(stated)
    if (
        model.variant is None
        and model.family.plain not in possible
        and model.family.told(model.names, model.path, stated) is None
    ):
        return undecided(name_of(place, model.path), model.family, possible, model.heading)
    return unfit_networks(model, place, models_dir, headers, lacking)
