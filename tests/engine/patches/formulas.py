"""The dense formula of every algorithm in fp64, one element at a time where that says it best."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

RANK = 4
"""Of all files that these are for."""

block_diag: Any = torch.block_diag


def spread(x: Any) -> Any:
    return x.reshape(x.shape[0], -1)


def low_rank(t: Mapping[str, Any], w: Any, scale: float) -> Any:
    up, down = spread(t["lora_up.weight"]), t["lora_down.weight"]
    if "lora_mid.weight" not in t:
        return scale * torch.einsum("or,ri->oi", up, spread(down)).reshape(w.shape)
    mid = t["lora_mid.weight"]
    return scale * torch.einsum("op,pqhw,qi->oihw", up, mid, spread(down))


def hadamard(t: Mapping[str, Any], w: Any, scale: float) -> Any:
    halves = []
    for n in "12":
        a, b = t[f"hada_w{n}_a"], t[f"hada_w{n}_b"]
        core = t.get(f"hada_t{n}")
        halves.append(
            (a @ b).reshape(w.shape)
            if core is None
            else torch.einsum("pqhw,po,qi->oihw", core, a, b)
        )
    return scale * halves[0] * halves[1]


def kronecker(t: Mapping[str, Any], w: Any, scale: float) -> Any:
    w1 = t["lokr_w1"] if "lokr_w1" in t else t["lokr_w1_a"] @ t["lokr_w1_b"]
    a, c = w1.shape
    kernel = w.shape[2:]
    b, d = w.shape[0] // a, w.shape[1] // c
    if "lokr_w2" in t:
        w2 = t["lokr_w2"]
    elif "lokr_t2" in t:
        w2 = torch.einsum("pqhw,po,qi->oihw", t["lokr_t2"], t["lokr_w2_a"], t["lokr_w2_b"])
    else:
        w2 = (t["lokr_w2_a"] @ t["lokr_w2_b"]).reshape(b, d, *kernel)
    if "lokr_w1" in t and "lokr_w2" in t:
        scale = 1.0
    whole = torch.zeros_like(w)
    for i in range(a):
        for j in range(c):
            whole[i * b : (i + 1) * b, j * d : (j + 1) * d] = scale * w1[i, j] * w2
    return whole


def generalised(t: Mapping[str, Any], w: Any, scale: float) -> Any:
    a1, a2, b1 = (spread(t[f"{n}.weight"]) for n in ("a1", "a2", "b1"))
    b2 = spread(t["b2.weight"])
    if a1.shape[0] == RANK:  # the old format
        a1, a2, b1, b2 = a2, a1, b2, b1
    through = torch.einsum("oi...,ij->oj...", w, a1 @ a2)
    if "bm.weight" in t:
        return scale * (through + torch.einsum("op,pqhw,qi->oihw", b1, t["bm.weight"], b2))
    return scale * (through + (b1 @ b2).reshape(w.shape))


def rotations(blocks: Any, bound: float) -> Any:
    q = blocks - blocks.transpose(-1, -2)
    if bound > 0 and q.norm() > bound:
        q = q * bound / q.norm()
    unit = torch.eye(q.shape[-1], dtype=q.dtype)
    return (unit + q) @ torch.linalg.inv(unit - q)


def orthogonal(t: Mapping[str, Any], w: Any, alpha: float) -> Any:
    r = block_diag(*rotations(t["oft_blocks"], alpha * w.shape[0]))
    turned = (r.T @ spread(w)).reshape(w.shape)
    return t.get("rescale", 1.0) * turned - w


def butterfly(t: Mapping[str, Any], w: Any, alpha: float) -> Any:
    out, size = w.shape[0], t["oft_blocks"].shape[-1]
    rows = spread(w)
    for stage, r in enumerate(rotations(t["oft_blocks"], alpha * out)):
        apart = 2**stage * size // 2
        # The order of the rows when pairs that are `apart` rows apart become neighbours.
        order = [
            group * 2 * apart + half * apart + place
            for group in range(out // (2 * apart))
            for place in range(apart)
            for half in range(2)
        ]
        permutation = torch.eye(out, dtype=w.dtype)[order]
        rows = permutation.T @ block_diag(*r) @ permutation @ rows
    return t.get("rescale", 1.0) * rows.reshape(w.shape) - w


def infused(t: Mapping[str, Any], w: Any, _: float) -> Any:
    n = t["weight"].flatten()
    return torch.einsum("oi...,i->oi..." if t["on_input"] else "oi...,o->oi...", w, n)


FORMULAS: dict[str, Callable[[Mapping[str, Any], Any, float], Any]] = {
    "LoRA": low_rank,
    "DoRA": low_rank,
    "LoHa": hadamard,
    "LoKr": kronecker,
    "GLoRA": generalised,
    "Diag-OFT": orthogonal,
    "BOFT": butterfly,
    "(IA)³": infused,
    "full": lambda t, w, _: t["diff"],
    "norm": lambda t, w, _: t["w_norm"],
}


def expected_delta(algorithm: str, tensors: Mapping[str, Any], w: Any) -> Any:
    t = {name: tensor.double() for name, tensor in tensors.items()}
    alpha = float(t["alpha"]) if "alpha" in t else None
    if "OFT" in algorithm:
        scale = alpha or 0.0  # a bound
    elif alpha is None:
        scale = 1.0
    else:
        scale = alpha / RANK
    delta = FORMULAS[algorithm.partition(",")[0]](t, w, scale)
    if "dora_scale" not in t:
        return delta
    merged = w + delta
    rows = t["dora_scale"].shape[0] == w.shape[0]
    norm = torch.zeros_like(t["dora_scale"])
    for n in range(norm.numel()):
        norm.view(-1)[n] = (merged[n] if rows else merged[:, n]).norm()
    return t["dora_scale"] / norm * merged - w
