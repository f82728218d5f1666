"""Whether an image would come out the same today, as far as can be told without generating it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Final

from bot.engine.hashing import HashCache
from bot.engine.subject import public
from bot.recipe import (
    FOLLOWING,
    FORMAT,
    Environment,
    Recipe,
    Weights,
    changed_facts,
    environment_id,
    formats_in,
)
from catalog import Catalog, locate
from catalog.disk import files_below
from catalog.families import TEXT_ENCODER, VAE
from catalog.selecting import Incomplete, control_files
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.pipeline import NETWORK

LIBRARIES: Final = ("torch", "diffusers", "transformers")
READ: Final = (*MODEL_SUFFIXES, ".json")
"""Endings of the files in a model's folder that an image depends on."""
OF_THE_IMAGE: Final = FOLLOWING | {"kernels", "decoding", "guidance_rescale", "noise"}
"""Names in a recipe's environment that say nothing of another image's: a repetition asks for the
kernels of the original, and the others follow from the request, the model and the rest."""


@dataclass(frozen=True, slots=True)
class Today:
    """gone: names of weights that are no longer in the catalog or on disk. changed: of weights and
    parts of the environment that are others now. unsure: of weights whose files are newer than the
    image, and have not been used since. stored: of networks, with how each was stored and how it
    would be now, such as `transformer (bfloat16, int8 → bfloat16)`."""

    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing speaks against the same bytes."""
        return not (self.gone or self.changed or self.unsure or self.stored)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where weights are looked for, as in an entry of the catalog. part: the file or folder in it
    that counts; None for all. configured: whether it is a ControlNet, of which the configuration
    beside its weights counts as well. network: the only one that counts, of a pipeline's folder,
    too. without: networks in it of which only the configuration counts."""

    path: str
    part: str | None = None
    revision: str | None = None
    network: str | None = None
    without: Collection[str] = ()
    configured: bool = False


def today(
    recipe: Recipe,
    painted_at: int,
    catalog: Catalog,
    models_dir: Path,
    hashes_file: Path,
    environment: Mapping[str, str],
    lanes: Collection[Environment] = (),
) -> Today:
    """Compare a recipe with what is there now. Blocks on disk; reads no weights.

    painted_at: when the image was generated, in milliseconds since the epoch. environment: of the
    latest image that this installation generated; the versions of the libraries are looked up.
    lanes: what images of each lane depend on; where one has the recipe's machine, it can be
    generated in the same environment again, unless that stores its networks otherwise by now.
    """
    hashes = HashCache(hashes_file)
    gone, changed, unsure = [], [], []
    sources = _sources(recipe, catalog)
    for weights, network in _used(recipe):
        files = _files(sources.get((weights.name, network)), models_dir)
        if not files:
            gone.append(weights.name)
        elif len(files) == 1 and (digest := hashes.whole(files[0])) is not None:
            if digest != weights.sha256:
                changed.append(weights.name)
        elif max(_changed_at(file) for file in files) > _time(painted_at):
            unsure.append(weights.name)
    changed += _replaced(recipe, catalog)
    model = catalog.models.get(recipe.request.model)
    if model is not None and recipe.variant not in {None, model.sampled_as.name}:
        changed.append(f"variant ({recipe.variant} → {model.sampled_as.name})")
    if model is not None and recipe.config not in {None, config := public(model.completed_by)}:
        changed.append(f"config ({recipe.config} → {config})")
    then, now = recipe.environment, {**environment, **_versions()}
    here = [lane for lane in lanes if lane.machine == environment_id(then)]
    if here:
        now = then
    apart = formats_in(then).keys() | OF_THE_IMAGE
    known = (then.keys() & now.keys()) - apart
    changed += changed_facts({n: now[n] for n in known}, {n: then[n] for n in known})
    stored = _stored(then, now, family_in(recipe, catalog), here or lanes)
    return Today(tuple(gone), tuple(changed), tuple(unsure), stored)


def family_in(recipe: Recipe, catalog: Catalog) -> str | None:
    """The key of the family of the recipe's model; None if it needed none, or that is gone."""
    model = recipe.checkpoint and catalog.models.get(recipe.checkpoint.name)
    return model.family.key if model else None


def _stored(
    then: Mapping[str, str],
    now: Mapping[str, str],
    family: str | None,
    lanes: Collection[Environment],
) -> tuple[str, ...]:
    """Of networks that none of `lanes` stores as `then`: where the fewest differ, see Today. now:
    the rest of an environment, with the dtype of networks that are not named."""
    before = formats_in(then)
    if family is None or not (known := [e.formats[family] for e in lanes if family in e.formats]):
        return ()
    after = min(known, key=lambda each: len(changed_facts(each, before)))
    usual_then, usual_now = then.get("dtype", "?"), now.get("dtype", "?")
    return tuple(
        f"{name.removesuffix(FORMAT)} "
        f"({before.get(name, usual_then)} → {after.get(name, usual_now)})"
        for name in changed_facts(after, before)
    )


def _replaced(recipe: Recipe, catalog: Catalog) -> Iterator[str]:
    """The networks that the model has by now in place of its own, with which it was generated."""
    model = catalog.models.get(recipe.request.model)
    if recipe.checkpoint is None or model is None:
        return
    then = {VAE: recipe.vae, TEXT_ENCODER: recipe.text_encoder}
    for network, path in model.replaced.items():
        if then[network] is None:
            yield public(path)


CONTROL: Final = "control"
"""Tells ControlNets from LoRAs and others with the same key."""
DETECTOR: Final = "detector"
"""Tells the detector from others of the same name."""


def _used(recipe: Recipe) -> Iterator[tuple[Weights, str | None]]:
    """All weights, each with the network that it is in place of the model's own, if it is one, or
    with CONTROL or DETECTOR."""
    networks = {None: recipe.checkpoint, VAE: recipe.vae, TEXT_ENCODER: recipe.text_encoder}
    yield from ((weights, network) for network, weights in networks.items() if weights)
    others = (*recipe.adapters, *recipe.reference, *recipe.embeddings, *recipe.parts)
    yield from ((weights, None) for weights in (recipe.upscaler, *others) if weights)
    following = (*recipe.controls, recipe.depth, recipe.pose)
    yield from ((weights, CONTROL) for weights in following if weights)
    yield from ((weights, DETECTOR) for weights in (recipe.detector,) if weights)


def _sources(recipe: Recipe, catalog: Catalog) -> dict[tuple[str, str | None], _Source]:
    """Where each of the recipe's weights would be read from today, by what `_used` calls them."""
    others = {**catalog.embeddings.entries, **catalog.upscalers.entries, **catalog.adapters}
    found: dict[tuple[str, str | None], _Source] = {
        (key, None): _Source(entry.path, entry.weight_name, entry.revision)
        for key, entry in others.items()
    }
    for key, control in catalog.controlnets.entries.items():
        own = (control.path, control.weight_name, control.revision)
        found[key, CONTROL] = _Source(*own, configured=True)
    if depth := catalog.controlnets.depth:
        found[public(depth.path), CONTROL] = _Source(depth.path, revision=depth.revision)
    if pose := catalog.controlnets.pose:
        found[public(pose.path), CONTROL] = _Source(pose.path, revision=pose.revision)
    if detector := catalog.detector:
        found[public(detector.path), DETECTOR] = _Source(detector.path, revision=detector.revision)
    for key, each in catalog.models.items():
        named = (each.path, each.weight_name, each.revision)
        found[key, None] = _Source(*named, without=each.replaced.keys())
    model = catalog.models.get(recipe.request.model)
    if model is not None:
        for network, path in model.replaced.items():
            found[public(path), network] = _Source(path, network=network)
        for network in recipe.by_network:
            found[f"{public(model.lent_by)}/{network}", None] = _Source(model.lent_by, network)
    if (reference := catalog.reference_for(recipe.request.model)) is not None:
        file = PurePath(reference.weight_name).name
        found[file, None] = _Source(reference.path, reference.weight_name, reference.revision)
        encoder = PurePath(reference.encoder).name
        found[encoder, None] = _Source(reference.path, reference.encoder, reference.revision)
    return found


def _files(source: _Source | None, models_dir: Path) -> list[Path]:
    """The files of the weights; empty if they are not there."""
    if source is None:
        return []
    root = locate(source.path, models_dir, revision=source.revision).path
    if root is None:
        return []
    if source.configured and root.is_dir():
        return _files_of_controlnet(root, source.part)
    if source.part is not None:
        root = root / source.part
    if source.network and not (root / NETWORK).is_file() and (root / source.network).is_dir():
        root = root / source.network
    if root.is_dir():
        files = sorted(
            file
            for file in root.rglob("*")
            if file.suffix in READ
            and (file.name == NETWORK or file.relative_to(root).parts[0] not in source.without)
        )
        # The links of a download outlive what they lead to.
        return files if all(file.is_file() for file in files) else []
    return [root] if root.is_file() else []


def _files_of_controlnet(root: Path, name: str | None) -> list[Path]:
    """Those that an engine reads, in 16 bits or in 32. name: of its weights, if it is said."""
    names = files_below(root, (PurePath(name or "").parent.as_posix(),), depth=0)
    try:
        chosen = {*control_files(names, name, half=True), *control_files(names, name, half=False)}
    except Incomplete:
        return []
    return [root / each for each in sorted(chosen)]


def _changed_at(file: Path) -> datetime:
    """When the file, or what is known about it, last changed: a copy may keep the former time."""
    status = file.stat()
    return datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), UTC)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
