"""Judge the files of models before they are used: what is no checkpoint is not offered."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.disk import is_file, is_scarce
from catalog.families import VAE, Family, of_architecture, of_repository
from catalog.families.stated import NOTHING
from catalog.headers import HeaderCache
from catalog.locate import Location, locate, network_files, weight_file
from catalog.schema import ModelEntry
from catalog.schema.model import names_of
from catalog.unfit import Unfit, undecided
from catalog.unread import NotReadYet
from catalog.weight_files import CheckpointFacts, HeaderError, Refusal, encoders
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import INDEXES, FolderFacts, NetworkFacts
from catalog.weight_files.refusal import unreadable_weights


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
    return weight_file(place, weight_name, MODEL_SUFFIXES)


def files_of(models: Iterable[ModelEntry], models_dir: Path) -> Iterator[Path]:
    """The files and folders of models that are on this machine."""
    for model in models:
        place = locate(model.path, models_dir, model.weight_name, model.revision)
        with _unjudged_if_unreadable():
            if found := checkpoint_file(place, model.weight_name) or place.path:
                yield found
        for network, path in model.replaced.items():
            with _unjudged_if_unreadable():
                yield from filter(None, network_files(network, locate(path, models_dir)))


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
        with _unjudged_if_unreadable(), contextlib.suppress(NotReadYet):
            if place.kind == "file" and place.path and not headers.checkpoint(place.path).model:
                found.add(place.path.resolve())
    return frozenset(found)


def _unfit(model: ModelEntry, models_dir: Path, headers: HeaderCache) -> Unfit | None:
    place = locate(model.path, models_dir, model.weight_name, model.revision).settled()
    stated = NOTHING
    with _unjudged_if_unreadable():
        if file := checkpoint_file(place, model.weight_name):
            facts = headers.checkpoint(file)
            stated = facts.stated
            refusal = facts.unfit(
                of=model.family.architectures,
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
                return Unfit(_name(place, model.path), refusal)
    told = model.variant or model.family.plain
    if told is None and model.family.told(model.names, model.path, stated) is None:
        return undecided(_name(place, model.path), model.family, model.heading)
    judged = (
        _unfit_network(model, network, path, models_dir, headers)
        for network, path in model.replaced.items()
    )
    return next(filter(None, judged), None)


def _unfit_network(
    model: ModelEntry, network: str, path: str, models_dir: Path, headers: HeaderCache
) -> Unfit | None:
    """Why what is at `path` is no such network for the model or cannot be read, by its weights and
    its configuration."""
    place = locate(path, models_dir).settled()
    judge = _unfit_vae if network == VAE else _unfit_encoder
    with _unjudged_if_unreadable():
        config, weights = network_files(network, place)
        facts = headers.checkpoint(weights) if weights else None
        if refusal := judge(model, facts, config, headers):
            return Unfit(
                file=weights.name if weights and not config else _name(place, path),
                refusal=refusal,
                vae_for=model.family if network == VAE else None,
                encoder_for=model.family if network != VAE else None,
            )
    return None


def _unfit_vae(
    model: ModelEntry, facts: CheckpointFacts | None, config: Path | None, headers: HeaderCache
) -> Refusal | None:
    """Why that is no VAE for the model or cannot be read.

    facts: what its weights say. config: its configuration.
    """
    usual = model.family.vae
    advice = (
        f"vae_path of {model.key} must be a VAE for {model.family.name}, or left out if the model"
        " has its own"
    )
    if facts and facts.vae != usual:
        return Refusal(facts.what, advice)
    said = headers.autoencoder(config) if config else NetworkFacts()
    if said.what not in {"", usual}:
        return Refusal(said.what, advice)
    return _unread(facts, said, usual)


def _unfit_encoder(
    model: ModelEntry, facts: CheckpointFacts | None, config: Path | None, headers: HeaderCache
) -> Refusal | None:
    """Why that is no text encoder for the model or cannot be read. Whether one of an unknown size
    is as wide as the model's own, the engine finds out.

    facts: what its weights say. config: its configuration.
    """
    usual = str(model.family.encoder)
    advice = (
        f"text_encoder_path of {model.key} must be {usual} for {model.family.name}, or left out for"
        " the usual one"
    )
    if facts and not (facts.encoder and facts.encoder.name in {usual, encoders.QWEN3}):
        return Refusal(facts.what, advice)
    said = headers.encoder(config) if config else NetworkFacts()
    if said.what not in {"", encoders.kind(usual), encoders.kind(encoders.QWEN3)}:
        return Refusal(said.what, advice)
    return _unread(facts, said, encoders.kind(usual))


def _unread(facts: CheckpointFacts | None, said: NetworkFacts, usual: str) -> Refusal | None:
    """Why the weights of a network that is the right one cannot be read.

    usual: what it is, where nothing says.
    """
    reason = (facts.quantised if facts else None) or said.quantised
    what = facts.what if facts else said.what or usual
    return unreadable_weights(what, reason) if reason else None


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


def _name(place: Location, path: str) -> str:
    # The folder of a snapshot is named after its commit.
    return place.path.name if place.path and place.kind in {"file", "folder"} else path
