"""Judge the networks of a model that are files of their own: in the folder of a model, of what
completes its single file, or in place of one of its own."""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.disk import is_scarce
from catalog.families import VAE
from catalog.headers import HeaderCache
from catalog.locate import Location
from catalog.presence import Lacking, Needed, places_of_weights
from catalog.schema import ModelEntry
from catalog.selecting import Incomplete, Names
from catalog.unfit import Unfit
from catalog.weight_files import CheckpointFacts, HeaderError, Refusal, encoders
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK, NetworkFacts, configurations
from catalog.weight_files.refusal import unreadable_weights


def unfit_networks(
    model: ModelEntry, own: Location, models_dir: Path, headers: HeaderCache, lacking: Lacking
) -> Unfit | None:
    """Why one of the model's networks is none of its family, or cannot be read.

    own: where its own files are. headers: updated. lacking: see `Catalog.lacking`. Raises
    NotReadYet, and OSError if it may be judged later.
    """
    for each in places_of_weights(model, own, models_dir, lacking):
        each.place.settled()
        with unjudged_if_unreadable():
            judge = _unfit_instead if each.instead else _unfit_folder
            if why := judge(model, each, headers):
                return why
    return None


def network_files(
    model: ModelEntry, own: Location, models_dir: Path, headers: HeaderCache, lacking: Lacking
) -> Iterator[Path]:
    """The files that are looked at for `unfit_networks`."""
    for each in places_of_weights(model, own, models_dir, lacking):
        with unjudged_if_unreadable():
            if each.place.path is None or each.choose is None:
                continue
            if each.place.kind == "file":
                yield each.place.path
                continue
            names = headers.files_below(each.place.path)
            for half in (True, False):
                yield from _weights(each, each.place.path, names, half=half)
            for network in each.networks:
                beside = (name for name in configurations(network) if name in names)
                yield from (each.place.path / name for name in beside)


def _unfit_folder(model: ModelEntry, each: Needed, headers: HeaderCache) -> Unfit | None:
    """Why the networks in the folder of the model, or of what lends it some, cannot be read."""
    folder = each.place.path
    if folder is None or each.choose is None or each.place.kind == "file":
        return None
    names = headers.files_below(folder)
    # How it is quantised, the configuration of any network says alike.
    beside = (f"{network}/{NETWORK}" for network in each.networks)
    reasons = (headers.encoder(folder / name).quantised for name in beside if name in names)
    reason = next(filter(None, reasons), None) or _unreadable(each, folder, names, headers)
    if reason is None:
        return None
    refusal = unreadable_weights(f"{model.family.architectures[0]} model", reason)
    return Unfit(name_of(each.place, each.path), refusal, quantised=model.family)


@dataclass(frozen=True, slots=True)
class _Instead:
    """What is in place of one of a model's networks.

    config: its configuration. facts: what its weights are; None of shards, none of which tells
    alone. quantised: why they cannot be read; None if they can. Each as far as it is here.
    """

    config: Path | None
    facts: CheckpointFacts | None
    quantised: str | None


def _unfit_instead(model: ModelEntry, each: Needed, headers: HeaderCache) -> Unfit | None:
    """Why what is in place of one of the model's networks is no such network or cannot be read."""
    path = each.place.path
    if path is None:
        return None
    if each.place.kind == "file":
        weights, facts = [path], headers.checkpoint(path)
        found = _Instead(None, facts, facts.quantised)
    else:
        names = headers.files_below(path)
        weights = _weights(each, path, names)
        alone = headers.checkpoint(weights[0]) if len(weights) == 1 else None
        quantised = _unreadable(each, path, names, headers)
        found = _Instead(_config(each, path, names), alone, quantised)
    is_vae = each.networks == (VAE,)
    judge = _unfit_vae if is_vae else _unfit_encoder
    if refusal := judge(model, found, headers):
        alone_here = found.facts is not None and found.config is None
        return Unfit(
            file=weights[0].name if alone_here else name_of(each.place, each.path),
            refusal=refusal,
            vae_for=model.family if is_vae else None,
            encoder_for=None if is_vae else model.family,
        )
    return None


def _config(each: Needed, folder: Path, names: Names) -> Path | None:
    """The configuration of a network: beside the weights that are read, if they are all there."""
    beside = _chosen(each, names) or names
    (network,) = each.networks
    return next((folder / name for name in configurations(network) if name in beside), None)


def _chosen(each: Needed, names: Names, *, half: bool = True) -> Collection[str]:
    """The files that are read, none if something is missing."""
    try:
        return each.choose(names, half=half) if each.choose else ()
    except Incomplete:
        return ()


def _weights(each: Needed, folder: Path, names: Names, *, half: bool = True) -> list[Path]:
    """The weight files among those."""
    chosen = _chosen(each, names, half=half)
    return [folder / name for name in chosen if name.lower().endswith(MODEL_SUFFIXES)]


def _unreadable(each: Needed, folder: Path, names: Names, headers: HeaderCache) -> str | None:
    """Why weights cannot be read, in whatever variant an engine takes them; None if they can, or
    something is missing."""
    reasons = [headers.weights(_weights(each, folder, names, half=half)) for half in (True, False)]
    return reasons[0] if all(reasons) else None


def _unfit_vae(model: ModelEntry, found: _Instead, headers: HeaderCache) -> Refusal | None:
    """Why that is no VAE for the model or cannot be read."""
    usual = model.family.vae
    advice = (
        f"vae_path of {model.key} must be a VAE for {model.family.name}, or left out if the model"
        " has its own"
    )
    if found.facts and found.facts.vae != usual:
        return Refusal(found.facts.what, advice)
    said = headers.autoencoder(found.config) if found.config else NetworkFacts()
    if said.what not in {"", usual}:
        return Refusal(said.what, advice)
    return _unread(found, said, usual)


def _unfit_encoder(model: ModelEntry, found: _Instead, headers: HeaderCache) -> Refusal | None:
    """Why that is no text encoder for the model or cannot be read. Whether one of an unknown size
    is as wide as the model's own, the engine finds out."""
    usual = str(model.family.encoder)
    advice = (
        f"text_encoder_path of {model.key} must be {usual} for {model.family.name}, or left out for"
        " the usual one"
    )
    if (facts := found.facts) and not (
        facts.encoder and facts.encoder.name in {usual, encoders.unsized(usual)}
    ):
        return Refusal(facts.what, advice)
    said = headers.encoder(found.config) if found.config else NetworkFacts()
    if said.what not in {"", encoders.kind(usual), encoders.kind(encoders.unsized(usual))}:
        return Refusal(said.what, advice)
    return _unread(found, said, encoders.kind(usual))


def _unread(found: _Instead, said: NetworkFacts, usual: str) -> Refusal | None:
    """Why the weights of a network that is the right one cannot be read.

    usual: what it is, where nothing says.
    """
    reason = found.quantised or said.quantised
    what = found.facts.what if found.facts else said.what or usual
    return unreadable_weights(what, reason) if reason else None


@contextlib.contextmanager
def unjudged_if_unreadable() -> Iterator[None]:
    """Whether a file is broken is found out, and said, elsewhere."""
    try:
        yield
    except HeaderError:
        pass
    except OSError as error:
        if is_scarce(error):
            raise


def name_of(place: Location, path: str) -> str:
    """What a place is called, for the owner."""
    # The folder of a snapshot is named after its commit.
    return place.path.name if place.path and place.kind in {"file", "folder"} else path
