"""The authors' own code, lycoris-lora: the same numbers, where its own reloading is not wrong."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.patches import make
from tests.engine.patches.make import Shape
from tests.engine.patches.test_families import (
    ALPHA,
    CONVOLUTION,
    LINEAR,
    NAME,
    RANK,
    base_weight,
    changes,
)

functional: Any = importlib.import_module("lycoris.functional")


def _locon(t: Mapping[str, Any], w: Any) -> Any:
    mid = t.get("lora_mid.weight")
    return functional.locon.diff_weight(
        t["lora_down.weight"], t["lora_up.weight"], mid, gamma=ALPHA / RANK
    ).reshape(w.shape)


def _loha(t: Mapping[str, Any], w: Any) -> Any:
    names = ("w1_b", "w1_a", "w2_b", "w2_a", "t1", "t2")
    gamma = torch.tensor(ALPHA / RANK)
    return functional.loha.diff_weight(*(t.get(f"hada_{n}") for n in names), gamma=gamma).reshape(
        w.shape
    )


def _lokr(t: Mapping[str, Any], w: Any) -> Any:
    names = ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
    factors = [t.get(f"lokr_{n}") for n in names]
    scale = 1.0 if factors[0] is not None and factors[3] is not None else ALPHA / RANK
    return functional.lokr.kron_weight(*factors, scale=scale).reshape(w.shape)


def _decomposed(make_delta: Callable[..., Any]) -> Callable[..., Any]:
    def delta(t: Mapping[str, Any], w: Any) -> Any:
        on_out = t["dora_scale"].shape[0] == w.shape[0]
        merged = w + make_delta(t, w)
        return functional.general.weight_decompose(merged, t["dora_scale"], 1, on_out) - w

    return delta


def _oft(t: Mapping[str, Any], w: Any) -> Any:
    bound = float(t.get("alpha", 0.0)) * w.shape[0]
    return functional.diag_oft.diff_weight(w, t["oft_blocks"], t.get("rescale"), constraint=bound)


def _boft(t: Mapping[str, Any], w: Any) -> Any:
    bound = float(t.get("alpha", 0.0)) * w.shape[0]
    return functional.boft.diff_weight(w, t["oft_blocks"], t.get("rescale"), constraint=bound)


def _glora(t: Mapping[str, Any], w: Any) -> Any:
    glora = importlib.import_module("lycoris.modules.glora")

    factors = (t[f"{n}.weight"] for n in ("a1", "a2", "b1", "b2"))
    return glora._glora_weight(w, *factors, None, ALPHA / RANK)


def _ia3(t: Mapping[str, Any], w: Any) -> Any:
    ia3 = importlib.import_module("lycoris.modules.ia3")

    return ia3._ia3_weight(w, t["weight"], bool(t["on_input"]), 1, True)


THEIRS = {
    "LoRA": _locon,
    "LoRA, Tucker": _locon,
    "DoRA": _decomposed(_locon),
    "DoRA, columns": _decomposed(_locon),
    "DoRA, Tucker": _decomposed(_locon),
    "LoHa": _loha,
    "LoHa, Tucker": _loha,
    "LoHa, DoRA": _decomposed(_loha),
    "LoKr": _lokr,
    "LoKr, full": _lokr,
    "LoKr, both factored": _lokr,
    "LoKr, first factored": _lokr,
    "LoKr, Tucker": _lokr,
    "LoKr, DoRA": _decomposed(_lokr),
    "GLoRA": _glora,
    "Diag-OFT": _oft,
    "Diag-OFT, bounded": _oft,
    "Diag-OFT, rescaled": _oft,
    "BOFT": _boft,
    "BOFT, bounded": _boft,
    "(IA)³, input": _ia3,
    "(IA)³, output": _ia3,
}
CASES = [
    (family, shape)
    for family in THEIRS
    for shape in (LINEAR, CONVOLUTION)
    if family in make.fitting(shape)
]


@pytest.mark.parametrize(("family", "shape"), CASES, ids=[f"{f} {len(s)}d" for f, s in CASES])
def test_is_what_lycoris_computes(family: str, shape: Shape, tmp_path: Path) -> None:
    options: Any = {"rank": RANK, "alpha": 0.03 if "bounded" in family else ALPHA}
    path = make.file(tmp_path / "x.safetensors", family, {NAME: shape}, **options)
    base = base_weight(shape)
    theirs = THEIRS[family](make.module(family, shape, **options), base)
    assert (changes(path, shape)["weight"].delta(base) - theirs).abs().max() <= 1e-5


def _reloaded(tensors: Mapping[str, Any]) -> tuple[Any, Any]:
    """A Linear with these tensors merged by LyCORIS' own reloading, and its weight before."""
    from lycoris import create_lycoris_from_weights

    model = torch.nn.Sequential()
    model.add_module("lin", torch.nn.Linear(12, 16))
    before = model.lin.weight.detach().clone()  # type: ignore[union-attr,operator]
    stored = {f"lycoris_lin.{name}": tensor for name, tensor in tensors.items()}
    network, _ = create_lycoris_from_weights(1.0, None, model, weights_sd=stored)
    network.merge_to(1.0)
    return model.lin.weight.detach(), before  # type: ignore[union-attr,operator]


def test_its_own_merging_scales_a_loha_twice() -> None:
    """Why its functions are our oracle, and its reloading is not."""
    w1_a, w1_b, w2_a, w2_b = (torch.randn(s) for s in ((16, 4), (4, 12), (16, 4), (4, 12)))
    tensors = {"hada_w1_a": w1_a, "hada_w1_b": w1_b, "hada_w2_a": w2_a, "hada_w2_b": w2_b}
    merged, before = _reloaded({**tensors, "alpha": torch.tensor(2.0)})
    scale = 2.0 / 4
    delta = scale * (w1_a @ w1_b) * (w2_a @ w2_b)
    torch.testing.assert_close(merged - before, scale * delta, rtol=1e-4, atol=1e-5)


def test_its_own_reloading_of_an_ia3_is_broken() -> None:
    with pytest.raises(TypeError, match="positional arguments"):
        _reloaded({"weight": torch.randn(16, 1), "on_input": torch.tensor(False)})
