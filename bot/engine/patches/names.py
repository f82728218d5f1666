"""The modules of a model that adapters change, and how files spell their names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeAlias

import torch

_KINDS: Final = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
_RMS_NORM: Final = "RMSNorm"
"""How the names of its classes end: torch has one, diffusers and transformers several of their own,
and files of differences between two checkpoints change them all."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module that an adapter can change, or some rows of it.

    part: the network, as `Family.patched` names it.
    path: of the module in that part, as `get_submodule` takes it.
    shape: of its weight, or of those rows of it: (out, in) for a Linear, (out, in, height, width)
        for a Conv2d, (n,) for a LayerNorm, GroupNorm or RMSNorm.
    has_bias: whether there is a bias to change, of shape (out,) or (n,).
    rows: the first of the weight and of the bias, and the one after the last; None for all.
    """

    part: str
    path: str
    shape: tuple[int, ...]
    has_bias: bool
    rows: tuple[int, int] | None = None

    @classmethod
    def of(cls, part: str, path: str, module: torch.nn.Module) -> "Target | None":
        """The target at `path`; None for a kind of module that no adapter changes."""
        if not (isinstance(module, _KINDS) or type(module).__name__.endswith(_RMS_NORM)):
            return None
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        return None if weight is None else cls(part, path, tuple(weight.shape), bias is not None)

    def cut(self, start: int, stop: int) -> "Target":
        """Its rows from `start` to before `stop`. Raises ValueError when it has not got them."""
        if not 0 <= start < stop <= self.shape[0]:
            raise ValueError(f"{self.path} has rows 0 to {self.shape[0]}, not {start} to {stop}")
        first = self.rows[0] if self.rows else 0
        rows = first + start, first + stop
        return replace(self, shape=(stop - start, *self.shape[1:]), rows=rows)


@dataclass(frozen=True, slots=True)
class Fused:
    """What files have as one module, and the model as several, or with its rows in another order.

    The weight in the file has the rows of `pieces` one after the other: `qkv` those of to_q, to_k
    and to_v; the `adaLN_modulation` of a last layer, which has the shift first in Black Forest
    Labs' files and the scale first in diffusers, two halves of one module.
    """

    pieces: tuple[Target, ...]

    def __post_init__(self) -> None:
        """Raises ValueError when the pieces are not in one network, or not equally wide."""
        if len({(piece.part, piece.shape[1:]) for piece in self.pieces}) != 1:
            raise ValueError(f"these cannot be fused: {self.pieces}")

    @property
    def part(self) -> str:
        return self.pieces[0].part

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight in the file."""
        return (sum(piece.shape[0] for piece in self.pieces), *self.pieces[0].shape[1:])

    @property
    def has_bias(self) -> bool:
        return all(piece.has_bias for piece in self.pieces)

    def spans(self) -> Iterator[tuple[Target, int, int]]:
        """Each piece with its first row in the file, and the one after its last."""
        start = 0
        for piece in self.pieces:
            stop = start + piece.shape[0]
            yield piece, start, stop
            start = stop


AnyTarget: TypeAlias = Target | Fused


def is_mixed(targets: Iterable[AnyTarget | None]) -> bool:
    """Whether any of the modules of a file is not just one of the model.

    Only such a file can name the same rows twice by names of different extent: a converter writes
    `qkv` for one program and `to_q`, `to_k`, `to_v` for another.
    """
    return any(isinstance(target, Fused) or (target and target.rows) for target in targets)


_UNDERSCORED_WRAPPERS: Final = re.compile(
    r"(?:^|_)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_model_model|module)(?=_)"
)
_HOLDERS: Final = re.compile(
    r"(?:pipeline|pipe|model)[._]|(?:lora|lycoris)_(?=unet_|text_encoder_)"
    r"|(?:\w+\.)+?(?=(?:unet|text_encoder|text_encoder_2)\.)"
)
"""Names of what holds the networks, in files of hand-written trainers and of wrappers."""


class Spellings:
    """Finds modules by any spelling of their names: dots, underscores, or some of both.

    known: by the usual names, as `Family.targets` makes them; `<part>.<path>` is always one. What
    is made of them at first use serves every file that follows; from any thread.
    """

    def __init__(self, known: Mapping[str, AnyTarget]) -> None:
        self.known = known

    def target(self, module: str) -> AnyTarget | None:
        """The target of this name from `split`; None if the model has none."""
        if found := self.known.get(module) or self._loosely(module):
            return found
        held = _HOLDERS.match(module)
        return self._loosely(module[held.end() :]) if held else None

    def target_in(self, part: str, module: str) -> AnyTarget | None:
        """The target of a name that does not tell the part."""
        return self.target(f"{part}.{module.removeprefix('lycoris_')}")

    def _loosely(self, module: str) -> AnyTarget | None:
        return self._underscored.get(
            _UNDERSCORED_WRAPPERS.sub("", module.replace(".", "_")).lstrip("_")
        )

    @cached_property
    def _underscored(self) -> dict[str, AnyTarget | None]:
        found: dict[str, AnyTarget | None] = {}
        for name, target in self.known.items():
            spelled = name.replace(".", "_")
            if found.setdefault(spelled, target) != target:
                found[spelled] = None  # two modules in one spelling
        return found


def paths_of(module: str, target: AnyTarget) -> tuple[str, ...]:
    """The paths by which a configuration may mean a module: as in the file, as in the model.

    transformers 4 has the layers of all text encoders under `text_model`, transformers 5 not all.
    """
    spelled = (module, module.removeprefix(f"{target.part}."))
    if isinstance(target, Fused):
        return tuple(dict.fromkeys(spelled))
    bare = target.path.removeprefix("text_model.")
    return tuple(dict.fromkeys((*spelled, target.path, bare, f"text_model.{bare}")))
