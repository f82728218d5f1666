"""Against lycoris-lora, the authors' own code: the same results, where its reloading is right."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.factories import save
from tests.engine.patches import make
from tests.engine.patches.formulas import RANK
from tests.engine.patches.make import Shape
from tests.engine.patches.test_algorithms import (
    ALPHA,
    CONVOLUTION,
    LINEAR,
    NAME,
    applied,
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
    return glora._glora_weight(w, *factors, t.get("bm.weight"), ALPHA / RANK)


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
    "GLoRA, Tucker": _glora,
    "Diag-OFT": _oft,
    "Diag-OFT, bounded": _oft,
    "Diag-OFT, rescaled": _oft,
    "BOFT": _boft,
    "BOFT, bounded": _boft,
    "(IA)³, input": _ia3,
    "(IA)³, output": _ia3,
}
CASES = [
    (algorithm, shape)
    for algorithm in THEIRS
    for shape in (LINEAR, CONVOLUTION)
    if algorithm in make.fitting(shape)
]


@pytest.mark.parametrize(("algorithm", "shape"), CASES, ids=[f"{f} {len(s)}d" for f, s in CASES])
def test_is_what_lycoris_computes(algorithm: str, shape: Shape, tmp_path: Path) -> None:
    options: Any = {"rank": RANK, "alpha": 0.03 if "bounded" in algorithm else ALPHA}
    path = make.file(tmp_path / "x.safetensors", algorithm, {NAME: shape}, **options)
    base = base_weight(shape)
    theirs = THEIRS[algorithm](make.module(algorithm, shape, **options), base)
    assert (changes(path, shape)["weight"].delta(base) - theirs).abs().max() <= 1e-5


def test_the_weight_of_a_boft_is_ours_alone(tmp_path: Path) -> None:
    """LyCORIS scales each stage's rotation by the weight; we scale the whole change."""
    base = base_weight(LINEAR)
    blocks = make.module("BOFT", LINEAR)["oft_blocks"]
    for stages in (1, len(blocks)):
        path = save(tmp_path / f"{stages}.safetensors", {f"{NAME}.oft_blocks": blocks[:stages]})
        change = changes(path, LINEAR)["weight"]
        for weight in (-1.0, 0.3, 1.0, 2.0):
            theirs = base + functional.boft.diff_weight(base, blocks[:stages], None, scale=weight)
            farthest = (applied(change, base, weight) - theirs).abs().max()
            assert (farthest <= 1e-5) == (weight == 1.0 or stages == 1)


def _reloading(tensors: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """LyCORIS' own reloading for a Linear: its network, the Linear, its weight."""
    from lycoris import create_lycoris_from_weights

    model: Any = torch.nn.Sequential()
    model.add_module("lin", torch.nn.Linear(12, 16))
    stored = {f"lycoris_lin.{name}": tensor for name, tensor in tensors.items()}
    network, _ = create_lycoris_from_weights(1.0, None, model, weights_sd=stored)
    return network, model.lin, model.lin.weight.detach().clone()


def _loha_file() -> dict[str, Any]:
    return make.module("LoHa", (16, 12), rank=4, alpha=2.0)


def _lokr_file() -> dict[str, Any]:
    """Of rank 1, with the factors that its reloading computes for 16×12."""
    factors = {"w1": (4, 3), "w2_a": (4, 1), "w2_b": (1, 4)}
    tensors = {f"lokr_{name}": torch.randn(shape) * 0.5 for name, shape in factors.items()}
    return {**tensors, "alpha": torch.tensor(0.5)}


@pytest.mark.parametrize("tensors", [_loha_file, _lokr_file])
def test_its_own_merging_scales_twice(tensors: Callable[[], Any], tmp_path: Path) -> None:
    """Why we compare with its functions and not its reloading; applied, it is right."""
    t = tensors()
    path = save(tmp_path / "x.safetensors", {f"{NAME}.{part}": x for part, x in t.items()})
    network, layer, before = _reloading(t)
    delta = changes(path, (16, 12))["weight"].delta(before)
    inside = torch.randn(3, 12)
    network.apply_to()
    with torch.no_grad():
        applied = layer(inside) - layer.bias
        network.restore()
        network.merge_to(1.0)
    assert (applied - inside @ (before + delta).T).abs().max() <= 1e-5
    scale = 0.5
    assert (layer.weight - (before + scale * delta)).abs().max() <= 1e-5


def test_its_own_reloading_of_a_dylora_is_broken() -> None:
    """It does not recognise any in a file; a module of it loads no tensors and does not say so."""
    dylora: Any = importlib.import_module("lycoris.modules.dylora")
    module = dylora.DyLoraModule("lycoris_lin", torch.nn.Linear(12, 16))
    stored = {name: torch.ones_like(x) for name, x in module.named_parameters()}
    assert {*stored} == {"up_list.0", "down_list.0"}
    with pytest.raises(AttributeError, match="make_module_from_state_dict"):
        _reloading(stored)
    module.load_state_dict(stored)
    assert not any(parameter.eq(1).all() for parameter in module.parameters())


def test_its_own_reloading_of_an_ia3_is_broken() -> None:
    with pytest.raises(TypeError, match="positional arguments"):
        _reloading({"weight": torch.randn(16, 1), "on_input": torch.tensor(False)})
