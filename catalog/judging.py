"""Judge the files of models before they are used: what is no checkpoint is not offered."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.disk import is_file, is_scarce
from catalog.families import Family, of_architecture, of_repository
from catalog.headers import HeaderCache
from catalog.locate import Location, locate, weight_file
from catalog.schema import ModelEntry
from catalog.schema.model import names_of
from catalog.unfit import Unfit, undecided
from catalog.weight_files import CheckpointFacts, HeaderError, Refusal
from catalog.weight_files.pipeline import INDEXES, FolderFacts
from catalog.weight_files.stated import NOTHING


def unfit_models(
    models: Iterable[ModelEntry], models_dir: Path, headers: HeaderCache
) -> dict[str, Unfit]:
    """The models whose files are on this machine and cannot be used, by key.

    Broken files are not judged: they are reported elsewhere. headers: updated.
    """
    judged = ((model.key, _unfit(model, models_dir, headers)) for model in models)
    return {key: why for key, why in judged if why}


@dataclass(frozen=True, slots=True)
class Told:
    """What is known about a model without its entry; None where nothing says.

    family: by its files, or by its well-known repository. prediction, variant: as in `ModelEntry`.
    """

    family: Family | None = None
    prediction: str | None = None
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
    with _unjudged_if_unreadable():
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
    return Told(family, facts.prediction, variant.name if variant else None)


def checkpoint_file(place: Location, weight_name: str | None) -> Path | None:
    """The one file of a model at `place`; None if it is in diffusers' layout, or not here.

    Raises OSError.
    """
    if place.kind == "file" or place.path is None:
        return place.path
    if weight_name is None and any(is_file(place.path / each) for each in INDEXES):
        return None
    return weight_file(place, weight_name)


def files_of(models: Iterable[ModelEntry], models_dir: Path) -> Iterator[Path]:
    """The files and folders of models that are on this machine."""
    for model in models:
        for path, name, revision in (
            (model.path, model.weight_name, model.revision),
            (model.vae_path, None, None),
        ):
            place = locate(path, models_dir, name, revision) if path else None
            with _unjudged_if_unreadable():
                if place and (found := checkpoint_file(place, name) or place.path):
                    yield found


def _unfit(model: ModelEntry, models_dir: Path, headers: HeaderCache) -> Unfit | None:
    place = locate(model.path, models_dir, model.weight_name, model.revision).settled()
    stated = NOTHING
    with _unjudged_if_unreadable():
        if file := checkpoint_file(place, model.weight_name):
            facts = headers.checkpoint(file)
            stated = facts.stated
            refusal = facts.unfit(
                of=model.family.architectures,
                vae=model.vae_path is not None,
                config=model.config is not None,
                prediction=model.prediction is not None,
            )
            if refusal:
                return Unfit(file.name, refusal)
        elif place.path:
            said = headers.folder(place.path)
            stated = said.stated
            refusal = said.unfit(
                of=model.family.architectures, prediction=model.prediction is not None
            )
            if refusal:
                return Unfit(_name(place, model), refusal)
    if model.variant is None and model.family.told(model.names, model.path, stated) is None:
        return undecided(_name(place, model), model.family, model.heading)
    if model.vae_path is None:
        return None
    place = locate(model.vae_path, models_dir).settled()
    with _unjudged_if_unreadable():
        file = checkpoint_file(place, None)
        if file and not (facts := headers.checkpoint(file)).holds_vae:
            advice = f"vae_path of {model.key} must be a VAE for {model.family.name}"
            return Unfit(file.name, Refusal(facts.what, advice))
    return None


@contextlib.contextmanager
def _unjudged_if_unreadable() -> Iterator[None]:
    """Whether a file is broken is found out, and said, elsewhere."""
    try:
        yield
    except HeaderError:
        pass
    except OSError as error:
        if is_scarce(error):
            raise


def _name(place: Location, model: ModelEntry) -> str:
    # The folder of a snapshot is named after its commit.
    return place.path.name if place.path and place.kind in {"file", "folder"} else model.path
