"""What the algorithms have in common."""

import math
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, TypeAlias

import torch

Shape: TypeAlias = tuple[int, ...]
RANK_LIMIT: Final = 4096
SCALE_LIMIT: Final = 1e30
"""Of alpha/rank, which is about 1; with any weight it is still a number in fp32."""


class MalformedError(Exception):
    """The tensors of a module do not belong together."""


class RankError(Exception):
    """args[0]: a rank above RANK_LIMIT."""


class Algorithm(Protocol):
    """One module's tensors in one of the algorithms, on the CPU, in the dtype of the file."""

    roles: ClassVar[frozenset[str]]
    """What tensors it may have, see `names.split`, apart from alpha and those of biases."""

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        """The shape of the weights that tensors of these shapes can change.

        of: shape by role. target: the weight at hand, for the axes that an algorithm leaves open.
        A convolution may come flattened, as (out, in · height · width). Raises MalformedError
        when tensors are missing or do not fit each other, RankError.
        """

    @classmethod
    def build(
        cls, tensors: Mapping[str, torch.Tensor], alpha: float | None, target: Shape
    ) -> "Algorithm":
        """From tensors by role, of shapes that `shape` accepted for a weight of shape `target`.

        alpha: None when the file has none. Raises MalformedError.
        """

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        """The change at weight 1 of `base`: a tensor of its own like `base`, which stays as is."""


def at(tensor: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """`tensor` where `base` is, as `base` is: half the bytes travel, then they are widened."""
    return tensor.to(base.device, non_blocking=True).to(base.dtype)


def flattened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(tensor.shape[0], -1)


def columns(shape: Shape) -> int:
    return math.prod(shape[1:])


def demand(condition: bool) -> None:
    if not condition:
        raise MalformedError


def checked_rank(rank: int) -> int:
    demand(rank > 0)
    if rank > RANK_LIMIT:
        raise RankError(rank)
    return rank


def scale_of(alpha: float | None, rank: int) -> float:
    """Raises MalformedError when it is beyond what any weight could be computed with."""
    scale = 1.0 if alpha is None else alpha / rank
    demand(abs(scale) <= SCALE_LIMIT)
    return scale
