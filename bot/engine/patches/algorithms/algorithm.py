"""The interface and helpers of all algorithms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol, TypeAlias

import torch

Shape: TypeAlias = tuple[int, ...]
RANK_LIMIT: Final = 4096
SCALE_LIMIT: Final = 1e30
"""Limit of `Stated.scale`, usually about 1; times any weight it is still finite in fp32."""


class MalformedError(Exception):
    """The tensors of a module do not belong together."""


class RankError(Exception):
    """args[0]: a rank above RANK_LIMIT."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What is said about a module outside the tensors of its algorithm.

    scale: of the product of its factors: alpha/rank times `scalar`.
    bound: of the norm of OFT and BOFT, in the unit of the file; 0.0 for none.
    series: terms of the Neumann series for peft's OFT; 0 for the exact inverse.
    on_input: whether peft's (IA)³ scales the input.
    """

    scale: float = 1.0
    bound: float = 0.0
    series: int = 0
    on_input: bool = False


class Algorithm(Protocol):
    """One module's tensors for one of the algorithms, on the CPU, in the file's dtype."""

    roles: ClassVar[frozenset[str]]
    """The tensors it may have (see `names.split`), apart from alpha and those for biases."""

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        """The shape of the weights that tensors of these shapes can change.

        of: shape by role. target: the actual weight's, for axes that an algorithm leaves open.
        A convolution may be flattened to (out, in · height · width). Raises MalformedError when
        tensors are missing or do not fit each other, RankError when the rank is too high.
        """

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        """The rank that divides alpha; None where the formula reads no alpha as a scale.

        of: shapes that `shape` accepted.
        """

    @classmethod
    def build(
        cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape
    ) -> "Algorithm":
        """Build from tensors by role, whose shapes `shape` accepted for a weight like `target`.

        Raises MalformedError.
        """

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        """The change of `base` at weight 1: a new tensor like `base`, which is not modified."""

    def of_rows(self, start: int, stop: int) -> "Algorithm | None":
        """What changes rows `start` to before `stop` of a weight, as a weight of their own.

        None where the change of a row depends on other rows.
        """


def at(tensor: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """`tensor` with the device and dtype of `base`, copied before widening to halve the bytes."""
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
