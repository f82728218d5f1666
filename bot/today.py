"""Whether an image would come out the same today, as far as can be told without generating it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Final

from bot.engine.hashing import HashCache
from bot.engine.subject import public
from bot.recipe import Recipe, Weights, environment_id
from catalog import Catalog, locate
from catalog.weight_files.gguf import MODEL_SUFFIXES

LIBRARIES: Final = ("torch", "diffusers", "transformers")
READ: Final = (*MODEL_SUFFIXES, ".json")
"""Endings of the files in a model's folder that an image depends on."""


@dataclass(frozen=True, slots=True)
class Today:
    """gone: names of weights that are no longer in the catalog or on disk. changed: of weights and
    parts of the environment that are others now. unsure: of weights whose files are newer than the
    image, and have not been used since."""

    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing speaks against the same bytes."""
        return not (self.gone or self.changed or self.unsure)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where weights are looked for, as in an entry of the catalog. part: the file or folder in it
    that counts; None for all."""

    path: str
    part: str | None = None
    revision: str | None = None


def today(
    recipe: Recipe,
    painted_at: int,
    catalog: Catalog,
    models_dir: Path,
    hashes_file: Path,
    environment: Mapping[str, str],
    machines: Collection[str] = (),
) -> Today:
    """Compare a recipe with what is there now. Blocks on disk; reads no weights.

    painted_at: when the image was generated, in milliseconds since the epoch. environment: of the
    latest image that this installation generated; the versions of the libraries are looked up.
    machines: the `environment_id` of each lane; where the recipe's is among them, it can be
    generated in the same environment again.
    """
    hashes = HashCache(hashes_file)
    gone, changed, unsure = [], [], []
    sources = _sources(recipe, catalog)
    for weights in _used(recipe):
        files = _files(sources.get(weights.name), models_dir)
        if not files:
            gone.append(weights.name)
        elif len(files) == 1 and (digest := hashes.whole(files[0])) is not None:
            if digest != weights.sha256:
                changed.append(weights.name)
        elif max(_changed_at(file) for file in files) > _time(painted_at):
            unsure.append(weights.name)
    model = catalog.models.get(recipe.request.model)
    if model is not None and recipe.variant not in {None, model.sampled_as.name}:
        changed.append("variant")
    if model is not None and recipe.config not in {None, public(model.completed_by)}:
        changed.append("config")
    then = recipe.environment
    if environment_id(then) not in machines:
        now = {**environment, **_versions()}
        # A repetition asks for the kernels of the original.
        known = {n for n in then if n in now and n != "kernels" and not _of_its_model(n)}
        changed += sorted(name for name in known if now[name] != then[name])
    return Today(tuple(gone), tuple(changed), tuple(unsure))


def _of_its_model(name: str) -> bool:
    """Whether it tells how a model's networks are stored; the latest image may be another's."""
    return name.endswith("_dtype") and name != "upscaler_dtype"


def _used(recipe: Recipe) -> Iterator[Weights]:
    if recipe.checkpoint is not None:
        yield recipe.checkpoint
    if recipe.vae is not None:
        yield recipe.vae
    if recipe.upscaler is not None:
        yield recipe.upscaler
    yield from (*recipe.adapters, *recipe.reference, *recipe.embeddings, *recipe.parts)


def _sources(recipe: Recipe, catalog: Catalog) -> dict[str, _Source]:
    """Where each of the recipe's weights would be read from today."""
    entries = {
        **catalog.embeddings.entries,
        **catalog.upscalers.entries,
        **catalog.adapters,
        **catalog.models,
    }
    found = {
        key: _Source(entry.path, entry.weight_name, entry.revision)
        for key, entry in entries.items()
    }
    model = catalog.models.get(recipe.request.model)
    if model is not None and model.vae_path:
        found[public(model.vae_path)] = _Source(model.vae_path)
    if model is not None:
        for weights in recipe.parts:
            network = PurePath(weights.name).name
            found[f"{public(model.lent_by)}/{network}"] = _Source(model.lent_by, network)
    if (reference := catalog.reference_for(recipe.request.model)) is not None:
        file = PurePath(reference.weight_name).name
        found[file] = _Source(reference.path, reference.weight_name, reference.revision)
        encoder = PurePath(reference.encoder).name
        found[encoder] = _Source(reference.path, reference.encoder, reference.revision)
    return found


def _files(source: _Source | None, models_dir: Path) -> list[Path]:
    """The files of the weights; empty if they are not there."""
    if source is None:
        return []
    root = locate(source.path, models_dir, revision=source.revision).path
    if root is None:
        return []
    if source.part is not None:
        root = root / source.part
    if root.is_dir():
        files = sorted(file for file in root.rglob("*") if file.suffix in READ)
        # The links of a download outlive what they lead to.
        return files if all(file.is_file() for file in files) else []
    return [root] if root.is_file() else []


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
