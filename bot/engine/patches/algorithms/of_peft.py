"""The algorithms of peft that scale or rotate the columns of a weight, with its own tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from bot.engine.patches.algorithms.algorithm import (
    Shape,
    Stated,
    at,
    columns,
    demand,
    flattened,
)


@dataclass(frozen=True, slots=True)
class PeftOFT:
    """W' = W · diag(R₁ … R_n)ᵀ, on the input axis, a convolution's flattened with its kernel.

    numbers: (n, size · (size − 1) / 2), the upper triangles of n skew matrices Q; one for all
    blocks if n is 1. R is the Cayley transform (I − Q)(I + Q)⁻¹, or what peft calls its
    Neumann series, I + 2Q + 2Q² + … with the last term once.
    bound: on the norm of each Q, divided by √n; 0.0 for none (`coft`).
    Qiu et al. 2023, arXiv 2306.07280; huggingface/peft src/peft/tuners/oft/layer.py.
    """

    roles: ClassVar = frozenset(("oft_R",))
    numbers: torch.Tensor
    series: int
    bound: float

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand(len(of["oft_R"]) == 2 and len(target) != 1)
        number, size = of["oft_R"][0], PeftOFT._size(of["oft_R"][1])
        wide = columns(target)
        demand(number > 0 and size > 0)
        if number * size == wide or (number == 1 and wide % size == 0):
            return target
        return (target[0], number * size)

    @staticmethod
    def _size(elements: int) -> int:
        """The side of the matrices that have so many numbers above their diagonal."""
        size = (1 + math.isqrt(1 + 8 * elements)) // 2
        demand(size * (size - 1) // 2 == elements)
        return size

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "PeftOFT":
        return cls(tensors["oft_R"], stated.series, stated.bound)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        skew = self._skew(base)
        rotation = self._summed(skew) if self.series else _rotated(skew)
        rows = flattened(base).reshape(base.shape[0], -1, skew.shape[-1])
        turned = torch.einsum("onk,nrk->onr", rows, rotation.expand(rows.shape[1], -1, -1))
        return turned.reshape(base.shape).sub_(base)

    def of_rows(self, start: int, stop: int) -> "PeftOFT":
        return self  # it turns each row by itself

    def _skew(self, base: torch.Tensor) -> torch.Tensor:
        numbers = at(self.numbers, base)
        size = self._size(numbers.shape[1])
        rows, cols = torch.triu_indices(size, size, 1, device=base.device)
        skew = numbers.new_zeros(len(numbers), size, size)
        skew[:, rows, cols] = numbers
        skew = skew - skew.transpose(-1, -2)
        if self.bound > 0:
            limit = self.bound / math.sqrt(len(skew))
            norm = torch.linalg.vector_norm(skew, dim=(1, 2), keepdim=True)
            skew = skew * (limit / norm.clamp(min=limit))
        return skew

    def _summed(self, skew: torch.Tensor) -> torch.Tensor:
        unit = torch.eye(skew.shape[-1], device=skew.device, dtype=skew.dtype)
        total, power = unit.repeat(len(skew), 1, 1), skew
        if self.series > 1:
            total += 2.0 * skew
        if self.series > 2:
            power = skew @ skew
            total += 2.0 * power
            for _ in range(3, self.series - 1):
                power = power @ skew
                total += 2.0 * power
            total += power @ skew
        return total


@dataclass(frozen=True, slots=True)
class PeftBOFT:
    """W' = s · W (B_m … B₁)ᵀ, on the input axis, a convolution's flattened with its kernel.

    blocks: (m, n, size, size), n · size = in; B_i rotates blocks of pairs of half blocks that lie
    2^i · size/2 apart by the Cayley transforms of ½ (blocks − blocksᵀ); s: (out, 1) or (1, out).
    Liu et al. 2023, arXiv 2311.06243; huggingface/peft src/peft/tuners/boft/layer.py.
    """

    roles: ClassVar = frozenset(("boft_R", "boft_s"))
    blocks: torch.Tensor
    factors: torch.Tensor

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand({"boft_R", "boft_s"} <= of.keys() and len(target) != 1)
        blocks, factors = of["boft_R"], of["boft_s"]
        demand(len(blocks) == 4 and blocks[2] == blocks[3])
        stages, number, size = blocks[:3]
        demand(0 < stages < 32 and number > 0 and size > 0)
        if stages > 1:
            demand(size % 2 == 0 and (number * size) % (size << (stages - 1)) == 0)
        out = math.prod(factors)
        demand(out == max(factors, default=0))
        return (
            target if (out, number * size) == (target[0], columns(target)) else (out, number * size)
        )

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(
        cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape
    ) -> "PeftBOFT":
        return cls(tensors["boft_R"], tensors["boft_s"])

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        blocks = at(self.blocks, base)
        rotations = _rotated(0.5 * (blocks - blocks.transpose(-1, -2)))
        stages, number, size = blocks.shape[:3]
        rows = flattened(base).T
        for stage, rotation in enumerate(rotations):
            order = torch.arange(len(rows), device=base.device)
            if stages > 1:
                order = order.reshape(-1, 2**stage, 2, size // 2).transpose(1, 2).reshape(-1)
            sorted_rows = torch.empty_like(rows)
            sorted_rows[order] = rows
            turned = rotation @ sorted_rows.reshape(number, size, -1)
            rows = turned.reshape(rows.shape)[order]
        scaled = rows.T * at(self.factors, base).reshape(-1, 1)
        return scaled.reshape(base.shape).sub_(base)

    def of_rows(self, start: int, stop: int) -> "PeftBOFT":
        return PeftBOFT(self.blocks, self.factors.reshape(-1)[start:stop])


@dataclass(frozen=True, slots=True)
class PeftIA3:
    """W' = W ⊙ factors, along the input axis for feed-forward layers, else the output axis.

    factors: (1, in) or (out, 1) for a Linear, (1, n, 1, 1) for a convolution on either axis.
    Liu et al. 2022, arXiv 2205.05638; huggingface/peft src/peft/tuners/ia3/layer.py.
    """

    roles: ClassVar = frozenset(("ia3_l",))
    factors: torch.Tensor
    on_input: bool

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        factors = of["ia3_l"]
        number = math.prod(factors)
        demand(len(factors) >= 2 and number == max(factors) and len(target) != 1)
        if len(target) > 2:
            return target if number in target[:2] else (number, *target[1:])
        return (target[0], number) if factors[0] == 1 else (number, target[1])

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "PeftIA3":
        factors = tensors["ia3_l"]
        if len(target) == 2:
            on_input = factors.shape[0] == 1 and target[0] != 1
        elif target[0] == target[1]:
            on_input = stated.on_input
        else:
            on_input = factors.numel() == target[1]
        return cls(factors, on_input)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        along = (1, -1) if self.on_input else (-1, 1)
        change = at(self.factors, base).reshape(*along, *(1 for _ in base.shape[2:])) - 1.0
        return base * change

    def of_rows(self, start: int, stop: int) -> "PeftIA3":
        if self.on_input:
            return self
        return PeftIA3(self.factors.reshape(-1)[start:stop], on_input=False)


def _rotated(skew: torch.Tensor) -> torch.Tensor:
    """(…, size, size) → (I − Q)(I + Q)⁻¹."""
    unit = torch.eye(skew.shape[-1], device=skew.device, dtype=skew.dtype)
    rotations: torch.Tensor = torch.linalg.solve(unit + skew, unit - skew)  # the two commute
    return rotations
