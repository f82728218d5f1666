"""Algorithms that store a change as a product of small tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bot.engine.patches.algorithms.algorithm import (
    MalformedError,
    Shape,
    Stated,
    at,
    checked_rank,
    columns,
    demand,
    flattened,
)


def _tucker(core: torch.Tensor, out: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """core: (p, q, height, width); out: (out, p); inner: (q, in) → (out, in, height, width)."""
    return torch.einsum("pq..., op, qi -> oi...", core, out, inner)


@dataclass(frozen=True, slots=True)
class LoRA:
    """Δ = alpha/rank · up @ down; with a core (LoCon's `lora_mid`) core ×₁ up ×₂ down.

    down: (rank, in[, height, width]); up: (out, rank[, 1, 1]);
    mid: (rank, rank, height, width), and then down is (rank, in[, 1, 1]).
    Hu et al. 2021, arXiv 2106.09685; lycoris/functional/locon.py.
    """

    roles: ClassVar = frozenset(("down", "up", "mid"))
    down: torch.Tensor
    up: torch.Tensor
    mid: torch.Tensor | None
    scale: float

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand({"down", "up"} <= of.keys())
        down, up, mid = of["down"], of["up"], of.get("mid")
        demand(len(down) >= 2 and len(up) >= 2 and columns(up) == up[1])
        rank = checked_rank(down[0])
        if mid is None:
            demand(up[1] == rank)
            return (up[0], *down[1:])
        demand(len(mid) >= 3 and mid[:2] == (up[1], rank) and columns(down) == down[1])
        return (up[0], down[1], *mid[2:])

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return of["down"][0]

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "LoRA":
        return cls(tensors["down"], tensors["up"], tensors.get("mid"), stated.scale)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        up = flattened(at(self.up, base)) * self.scale
        down = flattened(at(self.down, base))
        whole = up @ down if self.mid is None else _tucker(at(self.mid, base), up, down)
        return whole.reshape(base.shape)

    def of_rows(self, start: int, stop: int) -> "LoRA":
        return replace(self, up=self.up[start:stop])

    def add_product(self, total: torch.Tensor, weight: float) -> None:
        """Add weight · Δ to `total` in one operation, if there is no core.

        Nearly every file is of this kind and has a thousand modules so small that the overhead of
        each operation matters.
        """
        up, down = (flattened(at(factor, total)) for factor in (self.up, self.down))
        total.view(len(total), -1).addmm_(up, down, alpha=weight * self.scale)


@dataclass(frozen=True, slots=True)
class LoHa:
    """Δ = alpha/rank · (w1_a @ w1_b) ⊙ (w2_a @ w2_b).

    w?_a: (out, rank); w?_b: (rank, in[ · height · width]). With cores t1, t2:
    (rank, rank, height, width), each factor is t ×₁ w?_aᵀ ×₂ w?_b, and w?_a is (rank, out).
    Hyeon-Woo et al. 2021 (FedPara), arXiv 2108.06098; lycoris/functional/loha.py.
    """

    roles: ClassVar = frozenset(f"hada_{x}" for x in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2"))
    first: tuple[torch.Tensor, ...]
    second: tuple[torch.Tensor, ...]
    scale: float

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        made = [LoHa._half(of, number) for number in "12"]
        demand(made[0] == made[1])
        return made[0]

    @staticmethod
    def _half(of: Mapping[str, Shape], number: str) -> Shape:
        demand({f"hada_w{number}_a", f"hada_w{number}_b"} <= of.keys())
        a, b, core = of[f"hada_w{number}_a"], of[f"hada_w{number}_b"], of.get(f"hada_t{number}")
        return _shape(a, b, core)

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return of["hada_w1_b"][0]

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "LoHa":
        first, second = (
            tuple(
                tensors[n] for n in (f"hada_w{x}_a", f"hada_w{x}_b", f"hada_t{x}") if n in tensors
            )
            for x in "12"
        )
        return cls(first, second, stated.scale)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        whole = _product(self.first, base).mul_(self.scale)
        return whole.mul_(_product(self.second, base)).reshape(base.shape)

    def of_rows(self, start: int, stop: int) -> "LoHa":
        first, second = (_rows(factors, start, stop) for factors in (self.first, self.second))
        return LoHa(first, second, self.scale)


def _shape(a: Shape, b: Shape, core: Shape | None) -> Shape:
    """The shape of `_product`. Raises MalformedError."""
    demand(len(a) == 2 and len(b) >= 2)
    rank = checked_rank(b[0])
    if core is None:
        demand(a[1] == rank)
        return (a[0], *b[1:])
    demand(len(core) >= 3 and core[:2] == (a[0], rank) and len(b) == 2)
    return (a[1], b[1], *core[2:])


def _product(factors: tuple[torch.Tensor, ...], base: torch.Tensor) -> torch.Tensor:
    """(a, b) → a @ b; (a, b, core) → core ×₁ aᵀ ×₂ b, flattened to two axes."""
    a, b = at(factors[0], base), flattened(at(factors[1], base))
    if len(factors) == 2:
        return a @ b
    return flattened(_tucker(at(factors[2], base), a.T, b))


def _rows(factors: tuple[torch.Tensor, ...], start: int, stop: int) -> tuple[torch.Tensor, ...]:
    """The factors of rows of their `_product`."""
    a, *others = factors
    return (a[start:stop] if len(factors) == 2 else a[:, start:stop], *others)


@dataclass(frozen=True, slots=True)
class LoKr:
    """Δ = scale · w1 ⊗ w2, where w1 is full or w1_a @ w1_b, and w2 full, w2_a @ w2_b or Tucker.

    w1: (a, c); w2: (b, d[, height, width]); the weight is (a·b, c·d[, height, width]).
    w?_a: (·, rank); w?_b: (rank, ·). With t2: (rank, rank, height, width), w2 is
    t2 ×₁ w2_aᵀ ×₂ w2_b, and w2_a is (rank, b).
    scale: alpha/rank. When both are full, LyCORIS takes 1, whatever alpha says; peft divides its
    alpha by the rank of its configuration.
    skipped: rows of the product before the first that is meant; those after the last are told by
        the weight.
    Edalati et al. 2022 (KronA), arXiv 2212.10650; lycoris/modules/lokr.py.
    """

    roles: ClassVar = frozenset(
        f"lokr_{x}" for x in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
    )
    first: tuple[torch.Tensor, ...]
    second: tuple[torch.Tensor, ...]
    scale: float
    skipped: int = 0

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        first, second = LoKr._half(of, "1"), LoKr._half(of, "2")
        demand(len(first) == 2)
        return (first[0] * second[0], first[1] * second[1], *second[2:])

    @staticmethod
    def _half(of: Mapping[str, Shape], number: str) -> Shape:
        whole, a, b = (of.get(f"lokr_w{number}{x}") for x in ("", "_a", "_b"))
        core = of.get(f"lokr_t{number}")
        if whole is not None:
            demand(len(whole) >= 2 and a is b is core is None)
            return whole
        if a is None or b is None:
            raise MalformedError
        return _shape(a, b, core)

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        factors = (of.get("lokr_w2_b"), of.get("lokr_w1_b"))
        return next((factor[0] for factor in factors if factor), None)

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "LoKr":
        first, second = (
            tuple(
                tensors[name]
                for name in (f"lokr_w{x}", f"lokr_w{x}_a", f"lokr_w{x}_b", f"lokr_t{x}")
                if name in tensors
            )
            for x in "12"
        )
        return cls(first, second, stated.scale)

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        first, second = (
            flattened(at(factors[0], base)) if len(factors) == 1 else _product(factors, base)
            for factors in (self.first, self.second)
        )
        # The columns of a flattened w2 are (d, height, width); kron puts c before them.
        whole = torch.kron(first * self.scale, second)
        return whole[self.skipped : self.skipped + base.shape[0]].reshape(base.shape)

    def of_rows(self, start: int, stop: int) -> "LoKr":
        # Row i·b + k is row i of w1 ⊗ row k of w2: only the rows of w1 from the first to the last
        # that is needed are multiplied out.
        start, stop = start + self.skipped, stop + self.skipped
        height = self.second[0].shape[1 if len(self.second) == 3 else 0]
        low, high = start // height, -(-stop // height)
        first = (self.first[0][low:high], *self.first[1:])
        return LoKr(first, self.second, self.scale, start - low * height)


@dataclass(frozen=True, slots=True)
class GLoRA:
    """Δ = alpha/rank · (W · a1 @ a2 + b1 @ b2): W's input axis goes through a1 @ a2.

    a1: (in, rank[, 1, 1]); a2: (rank, in[, 1, 1]); b1: (out, rank[, 1, 1]);
    b2: (rank, in[, height, width]), or (rank, in[, 1, 1]) with bm: (rank, rank, height, width).
    Old versions of LyCORIS swapped the two of each pair; like ComfyUI
    (comfy/weight_adapter/glora.py), we tell them apart by their shapes.
    Chavan et al. 2023, arXiv 2306.07967; lycoris/modules/glora.py.
    """

    roles: ClassVar = frozenset(("a1", "a2", "b1", "b2", "bm"))
    a: tuple[torch.Tensor, torch.Tensor]
    b: LoRA

    @staticmethod
    def shape(of: Mapping[str, Shape], target: Shape) -> Shape:
        demand({"a1", "a2", "b1", "b2"} <= of.keys())
        demand(all(len(of[role]) >= 2 for role in GLoRA.roles & of.keys()))
        a1, a2, b1, b2 = (of[role] for role in ("a1", "a2", "b1", "b2"))
        if _swapped(a1, a2):
            a1, a2, b1, b2 = a2, a1, b2, b1
        demand(columns(a1) == a1[1] == a2[0] and columns(a2) == a2[1] == a1[0])
        made = LoRA.shape(
            {"up": b1, "down": b2} | ({"mid": of["bm"]} if "bm" in of else {}), target
        )
        demand(checked_rank(a2[0]) == b2[0] and made[1] == a2[1])
        return made

    @staticmethod
    def rank(of: Mapping[str, Shape]) -> int | None:
        return of["a1" if _swapped(of["a1"], of["a2"]) else "a2"][0]

    @classmethod
    def build(cls, tensors: Mapping[str, torch.Tensor], stated: Stated, target: Shape) -> "GLoRA":
        a1, a2, b1, b2 = (tensors[role] for role in ("a1", "a2", "b1", "b2"))
        if _swapped(tuple(a1.shape), tuple(a2.shape)):
            a1, a2, b1, b2 = a2, a1, b2, b1
        return cls((a1, a2), LoRA(b2, b1, tensors.get("bm"), stated.scale))

    def delta(self, base: torch.Tensor) -> torch.Tensor:
        a1, a2 = (flattened(at(tensor, base)) for tensor in self.a)
        through = torch.einsum("oi..., ir -> or...", base, a1 * self.b.scale)
        return self.b.delta(base).add_(torch.einsum("or..., ri -> oi...", through, a2))

    def of_rows(self, start: int, stop: int) -> "GLoRA":
        return GLoRA(self.a, self.b.of_rows(start, stop))


def _swapped(a1: Shape, a2: Shape) -> bool:
    return a1[0] < a1[1] and a2[1] < a2[0]
