"""Everything that the files of a checkpoint say about its training, collected and weighed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog.weight_files import ldm_config, scheduler_config
from catalog.weight_files.header import Header
from catalog.weight_files.prediction import (
    Claim,
    Training,
    UnknownTraining,
    numbers_of,
    of_markers,
    of_metadata,
    resolved,
)

_SWARM: Final = ".swarm.json"
BESIDE_CHECKPOINTS: Final = (*ldm_config.SUFFIXES, _SWARM)
"""What the names of files end in that may say how the checkpoint beside them was trained."""
_SWARM_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Evidence:
    """claims: of every source that could be understood, of rising precedence.

    unknown: what the others say that is not, in words.
    """

    claims: tuple[Claim, ...]
    unknown: tuple[str, ...]

    def training(
        self,
        prediction: str | None = None,
        zero_snr: bool | None = None,
        shift: float | None = None,
    ) -> Training:
        """What follows; see `resolved`. Raises UnknownTraining, but not for what the owner says."""
        if self.unknown and prediction is None:
            raise UnknownTraining(self.unknown[0])
        return resolved(self.claims, prediction, zero_snr, shift)


def collected(
    weights: Sequence[tuple[Path, Header]], config: Path | None, *, single: bool
) -> Evidence:
    """What these files say.

    weights: those of the denoiser, with their headers. config: the folder with the configuration
    of all networks, where it is known. single: the model is one file, and `config` only completes
    it. Raises OSError.
    """
    sources: list[Callable[[], list[Claim]]] = []
    if config:
        sources.append(lambda: [scheduler_config.of_folder(config, own=not single)])
    for path, header in weights:
        sources.append(lambda header=header: of_metadata(header.metadata))  # type: ignore[misc]
        sources.append(lambda path=path, header=header: _markers(path, header))  # type: ignore[misc]
        if single:
            sources.append(lambda path=path: _swarm(path))  # type: ignore[misc]
            sources.append(lambda path=path: [*filter(None, [ldm_config.beside(path)])])  # type: ignore[misc]
    claims: list[Claim] = []
    unknown: list[str] = []
    for source in sources:
        try:
            claims += source()
        except UnknownTraining as error:
            unknown.append(str(error))
    return Evidence(tuple(claims), tuple(unknown))


def of_file(path: Path, header: Header) -> Training:
    """How the single-file checkpoint in `path` was trained, as far as it says itself.

    Raises UnknownTraining and OSError.
    """
    return collected([(path, header)], None, single=True).training()


def beside_checkpoint(path: Path) -> tuple[Path, ...]:
    """The files beside a single-file checkpoint that may say how it was trained."""
    return tuple(path.with_suffix(suffix) for suffix in BESIDE_CHECKPOINTS)


def of_folder(folder: Path) -> Training:
    """The same for a model in diffusers' layout, from its configuration."""
    return collected([], folder, single=False).training()


def unclear(error: UnknownTraining) -> str:
    """A clause about a checkpoint of which this was raised."""
    return f"it does not say clearly how it was trained: {error}"


def _swarm(checkpoint: Path) -> list[Claim]:
    """What SwarmUI keeps in a `.swarm.json` beside the file: metadata, and a small picture."""
    path = checkpoint.with_suffix(_SWARM)
    try:
        said = scheduler_config.read_json(path, _SWARM_MAX)
    except FileNotFoundError:
        return []
    texts = {key: value for key, value in said.items() if isinstance(value, str)}
    return of_metadata(texts, path.name)


def _markers(path: Path, header: Header) -> list[Claim]:
    return of_markers(header.shapes, numbers_of(path, header))
