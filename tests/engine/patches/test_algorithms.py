"""Every algorithm against the dense formula, and against peft."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.patches import make
from tests.engine.patches.formulas import RANK, expected_delta, spread
from tests.engine.patches.make import Shape
from tests.engine.patches.reading import BASES
from tests.parameters import mostly_long

LINEAR: Shape = (96, 80)
CONVOLUTION: Shape = (96, 64, 3, 3)
NAME = "lora_unet_module"
ALPHA = 3.0
CASES = [
    *((algorithm, LINEAR) for algorithm in make.fitting(LINEAR)),
    *((algorithm, CONVOLUTION) for algorithm in make.fitting(CONVOLUTION)),
    ("norm", (96,)),
]
IDS = [f"{algorithm} {len(shape)}d" for algorithm, shape in CASES]


def subject() -> Any:
    from bot.engine.subject import Subject

    return Subject("adapter", "tested", lambda _: None, lambda: None)


def known(shape: Shape, name: str = NAME) -> dict[str, Any]:
    from bot.engine.patches import Target

    return {name: Target("unet", "some.module", shape, has_bias=True)}


def changes(path: Path, shape: Shape, name: str = NAME) -> dict[str, Any]:
    """The changes of the one module in a file, by the parameter's last name."""
    from bot.engine.patches import Spellings, read

    file = read(path, Spellings(known(shape, name)), BASES, subject())
    assert (file.total, file.matched, file.skipped) == (1, 1, ())
    return {change.parameter.rpartition(".")[2]: change for change in file.changes}


def applied(change: Any, base: Any, weight: float) -> Any:
    """The parameter of a network with `change` applied."""
    from bot.engine.weights import Formats, Part, PristineWeights

    module = torch.nn.Module()
    module.register_parameter("weight", torch.nn.Parameter(base.to("meta")))
    part = Part(module, Formats(base.dtype), "cpu")
    part.hold(PristineWeights("pristine", part.layout, None, {"weight": base}))
    part.set_changes({"weight": [(weight, change)]})
    part.wake(lambda: None)
    return part.module.get_parameter("weight")


def base_weight(shape: Shape, dtype: Any = None) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(99), dtype=dtype) * 0.3


ALPHAS = {"Diag-OFT, bounded": 0.05, "BOFT, bounded": 0.03}


@pytest.mark.parametrize(("algorithm", "shape"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", mostly_long(["float32", "float16", "bfloat16"], usual=1))
def test_is_the_dense_formula(algorithm: str, shape: Shape, dtype: str, tmp_path: Path) -> None:
    options: Any = {"rank": RANK, "alpha": ALPHAS.get(algorithm, ALPHA)}
    options["dtype"] = getattr(torch, dtype)
    path = make.file(tmp_path / "x.safetensors", algorithm, {NAME: shape}, **options)
    tensors = make.module(algorithm, shape, **options)
    base = base_weight(shape)
    given = base.clone()
    change = changes(path, shape)["weight"]
    delta = change.delta(base)
    assert torch.equal(base, given)
    assert delta.dtype == torch.float32
    exact = expected_delta(algorithm, tensors, base.double())
    assert exact.abs().max() > 0.1  # otherwise nothing would be tested
    for weight in (-1.0, 0.3, 1.0, 2.0):
        patched = applied(change, base, weight)
        wanted = base.double() + weight * exact
        assert (patched.double() - wanted).abs().max() <= 1e-5
    delta.zero_()
    assert not torch.equal(change.delta(base), delta)  # a delta is a new tensor


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("algorithm", "shape"), CASES, ids=IDS)
def test_is_the_same_on_a_gpu(algorithm: str, shape: Shape, tmp_path: Path) -> None:
    path = make.file(tmp_path / "x.safetensors", algorithm, {NAME: shape}, dtype=torch.float16)
    base = base_weight(shape)
    change = changes(path, shape)["weight"]
    there = change.delta(base.cuda())
    assert there.is_cuda
    assert (there.cpu() - change.delta(base)).abs().max() <= 1e-5


@pytest.mark.parametrize("algorithm", ["Diag-OFT, bounded", "BOFT, bounded"])
def test_the_bound_of_a_rotation_counts(algorithm: str, tmp_path: Path) -> None:
    """The bound is alpha · out, and only applies when it is exceeded."""
    deltas = []
    for number, alpha in enumerate((0.01, 0.02, 100.0, None)):
        path = tmp_path / f"{number}.safetensors"
        make.file(path, algorithm, {NAME: LINEAR}, alpha=alpha)
        deltas.append(changes(path, LINEAR)["weight"].delta(base_weight(LINEAR)))
    assert not torch.allclose(deltas[0], deltas[1])
    assert not torch.allclose(deltas[1], deltas[2])
    assert torch.equal(deltas[2], deltas[3])


@pytest.mark.parametrize("algorithm", ["LoRA, bias", "full, bias", "norm"])
def test_biases_are_changed_too(algorithm: str, tmp_path: Path) -> None:
    shape: Shape = (96,) if algorithm == "norm" else LINEAR
    path = make.file(tmp_path / "x.safetensors", algorithm, {NAME: shape})
    tensors = make.module(algorithm, shape)
    change = changes(path, shape)["bias"]
    assert change.parameter == "some.module.bias"
    delta = change.delta(base_weight((96,)))
    assert torch.equal(delta, tensors["b_norm" if algorithm == "norm" else "diff_b"])


@pytest.mark.parametrize("algorithm", ["LoRA", "LoHa", "LoKr", "GLoRA"])
def test_without_alpha_the_scale_is_1(algorithm: str, tmp_path: Path) -> None:
    plain = make.file(tmp_path / "a.safetensors", algorithm, {NAME: LINEAR}, alpha=None)
    same = make.file(tmp_path / "b.safetensors", algorithm, {NAME: LINEAR}, alpha=float(RANK))
    base = base_weight(LINEAR)
    first, second = (changes(path, LINEAR)["weight"].delta(base) for path in (plain, same))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("given", "shape"),
    [((64, 32, 1, 1), (64, 32)), ((64, 32), (64, 32, 1, 1)), ((64, 32 * 9), (64, 32, 3, 3))],
    ids=["1×1 convolution on Linear", "Linear on 1×1 convolution", "flattened convolution"],
)
def test_convolutions_and_linears_that_do_the_same(
    given: Shape, shape: Shape, tmp_path: Path
) -> None:
    path = make.file(tmp_path / "x.safetensors", "LoRA", {NAME: given})
    t = make.module("LoRA", given)
    delta = changes(path, shape)["weight"].delta(base_weight(shape))
    expected = spread(t["lora_up.weight"]) @ spread(t["lora_down.weight"]) * (2.0 / 4)
    assert delta.shape == shape
    torch.testing.assert_close(delta, expected.reshape(shape))


# --- peft -------------------------------------------------------------------------------------


class Module(torch.nn.Module):
    """One Linear or one Conv2d."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer: Any = (
            torch.nn.Linear(shape[1], shape[0])
            if len(shape) == 2
            else torch.nn.Conv2d(shape[1], shape[0], shape[2], padding=1)
        )

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def peft_case(kind: str, shape: Shape) -> tuple[Any, Any, dict[str, Any]]:
    """(peft's model with random weights, its base layer, its state as peft saves it)."""
    import peft

    torch.manual_seed(5)
    options: Any = {"target_modules": ["layer"], "init_weights": False}
    if kind in ("LoRA", "DoRA", "LoRA with bias"):
        del options["init_weights"]
        config: Any = peft.LoraConfig(
            r=RANK,
            lora_alpha=ALPHA,
            init_lora_weights=False,
            use_dora=kind == "DoRA",
            lora_bias=kind == "LoRA with bias",
            **options,
        )
    elif kind == "LoHa":
        config = peft.LoHaConfig(r=RANK, alpha=RANK, **options)
    elif kind == "LoHa, Tucker":
        config = peft.LoHaConfig(r=RANK, alpha=RANK, use_effective_conv2d=True, **options)
    else:
        config = peft.LoKrConfig(
            r=RANK,
            alpha=RANK,
            use_effective_conv2d="Tucker" in kind,
            decompose_both="both" in kind,
            decompose_factor=4,
            **options,
        )
    model = peft.get_peft_model(Module(shape), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(torch.rand_like(parameter) + 0.5)
            elif "layer.base_layer" not in name:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    state = {k: v.detach().clone() for k, v in peft.get_peft_model_state_dict(model).items()}
    return model, model.base_model.model.layer, state


PEFT = [
    (kind, shape)
    for kind in (
        "LoRA",
        "DoRA",
        "LoRA with bias",
        "LoHa",
        "LoHa, Tucker",
        "LoKr",
        "LoKr, both",
        "LoKr, Tucker",
    )
    for shape in (LINEAR, CONVOLUTION)
    if len(shape) > 2 or "Tucker" not in kind
]


# It mistakes a bias, which has one dimension, for a matrix that was not gathered.
@pytest.mark.filterwarnings("ignore:Adapter 'default'. 1 LoRA tensor.* invalid shape::peft")
@pytest.mark.parametrize(("kind", "shape"), PEFT, ids=[f"{k} {len(s)}d" for k, s in PEFT])
def test_is_what_peft_computes(kind: str, shape: Shape, tmp_path: Path) -> None:
    from tests.engine.factories import save

    model, layer, state = peft_case(kind, shape)
    name = "layer"  # peft writes base_model.model.layer.lora_A.weight
    if kind in ("LoRA", "DoRA", "LoRA with bias"):
        state["base_model.model.layer.alpha"] = torch.tensor(ALPHA)
    path = save(tmp_path / "x.safetensors", state)
    made = changes(path, shape, name)
    inside = torch.randn(2, shape[1], *([6, 6] if len(shape) == 4 else []))
    plain = layer.get_base_layer()
    base, bias = plain.weight.detach(), plain.bias.detach()
    for weight in (1.0,) if kind == "DoRA" else (-1.0, 0.3, 1.0, 2.0):
        layer.set_scale("default", weight)
        new = base + weight * made["weight"].delta(base)
        new_bias = bias + weight * made["bias"].delta(bias) if "bias" in made else bias
        with torch.no_grad():
            theirs = model(inside)
            if len(shape) == 4:
                ours = torch.nn.functional.conv2d(inside, new, new_bias, padding=1)
            else:
                ours = torch.nn.functional.linear(inside, new, new_bias)
        # Outputs sum hundreds of products: fp32 is accurate to 1e-5 of the largest.
        assert (ours - theirs).abs().max() <= 1e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("weight", [-1.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION])
def test_a_dora_is_what_peft_merges(shape: Shape, weight: float, tmp_path: Path) -> None:
    """In peft the weight scales the low-rank product, before the norm; in ours the whole change."""
    from tests.engine.factories import save

    _, layer, state = peft_case("DoRA", shape)
    base = layer.get_base_layer().weight.detach().clone()
    layer.set_scale("default", weight)
    layer.merge()
    theirs = layer.get_base_layer().weight.detach()
    made = []
    for number, alpha in enumerate((ALPHA, weight * ALPHA)):
        state["base_model.model.layer.alpha"] = torch.tensor(alpha)
        path = save(tmp_path / f"{number}.safetensors", state)
        made.append(changes(path, shape, "layer")["weight"])
    ours, scaled_before = applied(made[0], base, weight), applied(made[1], base, 1.0)
    assert (scaled_before - theirs).abs().max() <= 1e-5
    assert ((ours - theirs).abs().max() <= 1e-5) == (weight == 1.0)


def test_a_set_of_peft_adapters_is_the_sum_of_ours(tmp_path: Path) -> None:
    """Two LoRAs at once with different weights."""
    from tests.engine.factories import save

    model, layer, first = peft_case("LoRA", LINEAR)
    model.add_adapter("second", model.peft_config["default"])
    with torch.no_grad():
        for parameter in (layer.lora_A["second"].weight, layer.lora_B["second"].weight):
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    second = {
        "base_model.model.layer.lora_A.weight": layer.lora_A["second"].weight.detach(),
        "base_model.model.layer.lora_B.weight": layer.lora_B["second"].weight.detach(),
    }
    base = layer.get_base_layer().weight.detach()
    new = base.clone()
    model.base_model.set_adapter(["default", "second"])
    for number, (state, weight) in enumerate(((first, 0.7), (second, -0.4))):
        layer.set_scale(("default", "second")[number], weight)
        state["base_model.model.layer.alpha"] = torch.tensor(ALPHA)
        path = save(tmp_path / f"{number}.safetensors", state)
        new += weight * changes(path, LINEAR, "layer")["weight"].delta(base)
    inside = torch.randn(5, LINEAR[1])
    with torch.no_grad():
        ours = torch.nn.functional.linear(inside, new, layer.get_base_layer().bias)
        assert (ours - model(inside)).abs().max() <= 1e-5
