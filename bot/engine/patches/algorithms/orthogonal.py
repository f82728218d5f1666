"""Algorithms that rotate the rows of a weight."""

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
    flattened,
)


@dataclass(frozen=True, slots=True)
class OFT:
    """W' = rescale · Rᵀ W with R = diag(R₁ … R_n), each the Cayley transform of its block.

    blocks: (n, size, size), n · size = out; rescale: (out, 1[, 1, 1]) or None.
    Q = blocks − blocksᵀ, scaled down to the norm bound · out if that is above 0 and exceeded;
    R = (I + Q)(I − Q)⁻¹. The bound is the file's alpha, which both trainers multiply by out;
    ComfyUI does not.
    Qiu et al. 2023, arXiv 2306.07280; lycoris/functional/diag_oft.py; kohya-ss/sd-scripts
    networks/oft.py.
    """

    roles: ClassVar = frozenset(("oft_blocks", "rescale"))
    blocks: torch.Tensor
    rescale: torch.Tensor | None
    bound: float

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand("oft_blocks" in of)
        blocks = of["oft_blocks"]
        demand(len(blocks) == 3 and blocks[1] == blocks[2])
        out = blocks[0] * blocks[1]
        demand(math.prod(of.get("rescale", (out,))) == out > 0 and len(target) != 1)
        return (out, *target[1:])

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "OFT":
        return cls(tensors["oft_blocks"], tensors.get("rescale"), stated.bound)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        rotation = _cayley(at(self.blocks, base), self.bound * base.shape[0])
        parts = base.reshape(*self.blocks.shape[:2], -1)
        turned = (rotation.transpose(-1, -2) @ parts).reshape(base.shape[0], -1)
        return _rescaled(turned, self.rescale, base).sub_(flattened(base)).reshape(base.shape)

    def of_rows(self, start: int, stop: int) -> None:
        return None


@dataclass(frozen=True, slots=True)
class BOFT:
    """W' = rescale · B_m … B₁ W: each B_i rotates blocks of rows that lie 2^i · size/2 apart.

    blocks: (m, n, size, size), n · size = out, size even; rotations as in OFT, with the norm taken
    over all stages. Stage i sees the rows in the order (…, k, 2) instead of (…, 2, k) with
    k = 2^i · size/2, so that a butterfly of m stages mixes 2^(m−1) · size rows.
    Liu et al. 2023, arXiv 2311.06243; lycoris/functional/boft.py.
    """

    roles: ClassVar = OFT.roles
    blocks: torch.Tensor
    rescale: torch.Tensor | None
    bound: float

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        blocks = of["oft_blocks"]
        demand(len(blocks) == 4 and blocks[2] == blocks[3] and blocks[0] > 0)
        stages, number, size = blocks[:3]
        out = number * size
        demand(size > 0 and size % 2 == 0 and out > 0 and stages < 32)
        demand(out % (size << (stages - 1)) == 0)
        demand(math.prod(of.get("rescale", (out,))) == out and len(target) != 1)
        return (out, *target[1:])

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return None

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "BOFT":
        return cls(tensors["oft_blocks"], tensors.get("rescale"), stated.bound)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        out = base.shape[0]
        rotations = _cayley(at(self.blocks, base), self.bound * out)
        number, size = rotations.shape[1:3]
        rows = flattened(base)
        for stage, rotation in enumerate(rotations):
            apart = 2**stage * size // 2
            paired = rows.reshape(-1, 2, apart, rows.shape[1]).transpose(1, 2)
            turned = rotation @ paired.reshape(number, size, -1)
            rows = turned.reshape(-1, apart, 2, rows.shape[1]).transpose(1, 2).reshape(out, -1)
        return _rescaled(rows, self.rescale, base).sub_(flattened(base)).reshape(base.shape)

    def of_rows(self, start: int, stop: int) -> None:
        return None


def _cayley(blocks: torch.Tensor, bound: float) -> torch.Tensor:
    """(…, size, size) → orthogonal matrices. bound: on the norm of all together; 0 for none."""
    skew = blocks - blocks.transpose(-1, -2)
    if bound > 0:
        skew = skew * (bound / skew.norm().clamp(min=bound))
    unit = torch.eye(blocks.shape[-1], device=blocks.device, dtype=blocks.dtype)
    rotations: torch.Tensor = torch.linalg.solve(unit - skew, unit + skew)  # the two commute
    return rotations


def _rescaled(rows: torch.Tensor, rescale: torch.Tensor | None, base: torch.Tensor) -> torch.Tensor:
    return rows if rescale is None else rows.mul_(at(rescale, base).reshape(-1, 1))
