"""Changes that adapters make: one parameter each, as a difference from the pristine weights."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import chain
from typing import Any, ClassVar, Protocol

import torch

from bot.engine.patches.algorithms import Algorithm, LoRA, MalformedError, Shape, at


class Change(Protocol):
    """The change of one parameter by one adapter; see `delta`."""

    @property
    def part(self) -> str:
        """As in Target."""

    @property
    def parameter(self) -> str:
        """Its full name in that part: "….to_q.weight", "….conv1.bias"."""

    @property
    def nbytes(self) -> int:
        """Bytes of RAM that the tensors of the change take."""

    @property
    def reads_base(self) -> bool:
        """Whether `add_to` reads the numbers of `base`; if not, `base` may be `total` itself."""

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        """The difference that the adapter makes at weight 1.

        base: the pristine parameter, in fp32, on any device; it is not modified. Of a
            `fused.OfWhole` it is the matrix that the file has fused.
        Returns a new tensor like `base`. The patched parameter is
        base + Σ weightᵢ · deltaᵢ(base), summed in fp32 in the order given and rounded once. So
        every algorithm is linear in the weight, even those that do not add (DoRA, OFT, BOFT,
        (IA)³), and at weight 1 and alone exactly what its authors define.
        """

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        """Add weight · delta(base) to `total`, which is like `base` and contiguous."""

    def of_rows(self, parameter: str, start: int, stop: int) -> "Change | None":
        """The change of rows `start` to before `stop`, which are all of another parameter.

        None where the change of a row depends on other rows.
        """


@dataclass(frozen=True, slots=True)
class WeightChange:
    """The weight of a module, changed by one of the algorithms."""

    part: str
    parameter: str
    nbytes: int
    algorithm: Algorithm

    @property
    def reads_base(self) -> bool:
        return not (isinstance(self.algorithm, LoRA) and self.algorithm.mid is None)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return self.algorithm.delta(base)

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        if isinstance(self.algorithm, LoRA) and self.algorithm.mid is None:
            self.algorithm.add_product(total, weight)
        else:
            total.add_(self.delta(base), alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> "WeightChange | None":
        algorithm = self.algorithm.of_rows(start, stop)
        if algorithm is None:
            return None
        return WeightChange(self.part, parameter, bytes_of(tensors_of(algorithm)), algorithm)


@dataclass(frozen=True, slots=True)
class Decomposed:
    """DoRA, DoHA, DoKr: W' = magnitude · (W + Δ) / ‖W + Δ‖, with Δ of any other algorithm.

    magnitude: n numbers, in any shape. axis: 0 for the norm of every row (peft, and LyCORIS with
    `wd_on_out`), 1 for that of every input column over rows and kernel (LyCORIS without); the shape
    of the file's tensor tells which.
    The norm is that of the changed weight, as in the paper, peft and LyCORIS; ComfyUI takes that of
    the unchanged one for axis 0. Liu et al. 2024, arXiv 2402.09353; lycoris/functional/general.py;
    huggingface/peft src/peft/tuners/lora/dora.py.
    """

    part: str
    parameter: str
    nbytes: int
    algorithm: Algorithm
    magnitude: torch.Tensor
    axis: int
    reads_base: ClassVar = True

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        merged = self.algorithm.delta(base).add_(base)
        others = [axis for axis in range(base.ndim) if axis != self.axis]
        norm = torch.linalg.vector_norm(merged, dim=others, keepdim=True)
        magnitude = at(self.magnitude, base).reshape(norm.shape)
        return merged.mul_(magnitude / norm.add_(torch.finfo(base.dtype).eps)).sub_(base)

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        total.add_(self.delta(base), alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> "Decomposed | None":
        algorithm = self.algorithm.of_rows(start, stop)
        if self.axis != 0 or algorithm is None:
            return None  # a column's norm is over all rows
        magnitude = self.magnitude.reshape(-1)[start:stop]
        size = bytes_of(tensors_of((algorithm, magnitude)))
        return Decomposed(self.part, parameter, size, algorithm, magnitude, self.axis)


def magnitude_axis(magnitude: Shape, target: Shape, *, of_rows: bool) -> int:
    """The axis that a magnitude belongs to. Raises MalformedError when it fits neither.

    of_rows: whether the file's format allows rows only, like peft's, which stores those of a
    convolution as (1, out, 1, 1). LyCORIS stores rows as (out, 1[, 1, 1]) and columns as
    (1, in[, 1, 1]).
    """
    number = max(magnitude, default=0)
    alone = all(side in (1, number) for side in magnitude) and magnitude.count(number) == 1
    if alone and len(target) > 1:
        only_rows = of_rows or target[0] != target[1]
        if number == target[0] and (only_rows or magnitude[0] == number):
            return 0
        if number == target[1] and not of_rows and len(magnitude) > 1 and magnitude[1] == number:
            return 1
    raise MalformedError


@dataclass(frozen=True, slots=True)
class BiasChange:
    """The bias of a module: Δ = scale · difference.

    From `diff_b` (LyCORIS full, ComfyUI), `b_norm` (LyCORIS norms), and peft's `lora_B.bias`, where
    scale is alpha/rank.
    """

    part: str
    parameter: str
    difference: torch.Tensor
    scale: float
    reads_base: ClassVar = False

    @property
    def nbytes(self) -> int:
        return self.difference.nbytes

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return at(self.difference, base).reshape(base.shape) * self.scale

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        total.add_(self.delta(base), alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> "BiasChange":
        rows = self.difference.reshape(-1)[start:stop]
        return replace(self, parameter=parameter, difference=rows)


@dataclass(frozen=True, slots=True)
class BiasScaled:
    """The bias of a module whose outputs are scaled: b' = b ⊙ factors. peft's (IA)³."""

    part: str
    parameter: str
    factors: torch.Tensor
    reads_base: ClassVar = True

    @property
    def nbytes(self) -> int:
        return self.factors.nbytes

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return base * (at(self.factors, base).reshape(base.shape) - 1.0)

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        total.add_(self.delta(base), alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> "BiasScaled":
        return BiasScaled(self.part, parameter, self.factors.reshape(-1)[start:stop])


@dataclass(frozen=True, slots=True)
class BiasReplaced:
    """The bias of a module, trained as a whole by peft: b' = value."""

    part: str
    parameter: str
    value: torch.Tensor
    reads_base: ClassVar = True

    @property
    def nbytes(self) -> int:
        return self.value.nbytes

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return at(self.value, base).reshape(base.shape) - base

    def add_to(self, total: torch.Tensor, base: torch.Tensor, weight: float) -> None:
        total.add_(self.delta(base), alpha=weight)

    def of_rows(self, parameter: str, start: int, stop: int) -> "BiasReplaced":
        return BiasReplaced(self.part, parameter, self.value.reshape(-1)[start:stop])


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of a change or of an algorithm, whatever it calls them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        yield from chain.from_iterable(map(tensors_of, value))
    elif is_dataclass(value):
        yield from chain.from_iterable(tensors_of(getattr(value, f.name)) for f in fields(value))
