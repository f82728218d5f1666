"""Algorithms that store one number per element, row or column of a weight."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from bot.engine.patches.algorithms.algorithm import (
    Shape,
    Stated,
    at,
    demand,
)


@dataclass(frozen=True, slots=True)
class IA3:
    """(IA)³: Δ = W ⊙ weight, along the input axis when `on_input` is not 0, else the output axis.

    weight: (n,) for a Linear, (1, n, 1, 1) for a convolution, for either axis.
    Liu et al. 2022, arXiv 2205.05638, as a difference from 1: lycoris/modules/ia3.py.
    """

    roles: ClassVar = frozenset(("weight", "on_input"))
    weight: torch.Tensor
    on_input: bool

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand({"weight", "on_input"} <= of.keys() and math.prod(of["on_input"]) == 1)
        number = math.prod(of["weight"])
        demand(number == max(of["weight"], default=0) and len(target) != 1)
        return target if number in target[:2] else (number, *target[1:])

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "IA3":
        weight, on_input = tensors["weight"], bool(tensors["on_input"].item())
        demand(weight.numel() == target[1 if on_input else 0])
        return cls(weight, on_input)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        along = (1, -1) if self.on_input else (-1, 1)
        weight = at(self.weight, base).reshape(*along, *(1 for _ in base.shape[2:]))
        return base * weight

    def of_rows(self, start: int, stop: int) -> "IA3":
        return self if self.on_input else IA3(self.weight.reshape(-1)[start:stop], on_input=False)


@dataclass(frozen=True, slots=True)
class Full:
    """Δ = diff, the whole difference, in the weight's shape. lycoris/modules/full.py."""

    roles: ClassVar = frozenset(("diff",))
    diff: torch.Tensor

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand(len(of["diff"]) > 0)
        return of["diff"]

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "Full":
        return cls(tensors["diff"])

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return at(self.diff, base).reshape(base.shape).clone()  # it may share the file's buffer

    def of_rows(self, start: int, stop: int) -> "Full":
        return Full(self.diff[start:stop])


@dataclass(frozen=True, slots=True)
class Norm:
    """Δ = w_norm, for the weight (n,) of a LayerNorm or GroupNorm. lycoris/modules/norms.py."""

    roles: ClassVar = frozenset(("w_norm",))
    difference: torch.Tensor

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand(len(of["w_norm"]) == 1)
        return of["w_norm"]

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "Norm":
        return cls(tensors["w_norm"])

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        return at(self.difference, base).clone()

    def of_rows(self, start: int, stop: int) -> "Norm":
        return Norm(self.difference[start:stop])
