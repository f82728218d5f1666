"""Numbers that a formula reads count, wherever they stand; others do no harm, whatever they are."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from catalog.weight_files import SUPPORTED, adapter_facts, read_header
from tests.engine.factories import save
from tests.engine.patches import make
from tests.engine.patches.make import Shape
from tests.engine.patches.reading import BASES, subject
from tests.parameters import mostly_long

NAME = "lora_unet_module"
LINEAR, CONVOLUTION = (32, 16), (16, 8, 3, 3)
HUGE = torch.tensor(100_000.0).half()
"""The dim that many trainers of LoKr use; infinite in fp16."""
NONSENSE: dict[str, Any] = {
    "infinite": HUGE,
    "nan": torch.tensor(float("nan")),
    "several": torch.ones(3),
    "empty": torch.ones(0),
    "integers": torch.ones(2, 2, dtype=torch.int64),
    "absurd": torch.tensor(1e300, dtype=torch.float64),
}


def known(shape: Shape, *, has_bias: bool = True) -> dict[str, Any]:
    from bot.engine.patches import Target

    return {NAME: Target("unet", "some.module", shape, has_bias=has_bias)}


def changes(path: Path, shape: Shape, **options: bool) -> dict[str, Any]:
    """By the last name of the parameter."""
    from bot.engine.patches import Spellings, read

    file = read(path, Spellings(known(shape, **options)), BASES, subject())
    header = read_header(path)
    told = adapter_facts(header.shapes, header.metadata).algorithm
    assert set(told.split(" + ")) <= set(SUPPORTED)
    return {change.parameter.rpartition(".")[2]: change for change in file.changes}


def deltas(path: Path, shape: Shape, **options: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(8)
    bases = {
        "weight": torch.randn(shape, generator=generator),
        "bias": torch.randn(shape[:1], generator=generator),
    }
    return {name: c.delta(bases[name]) for name, c in changes(path, shape, **options).items()}


def put(path: Path, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    return save(path, {f"{NAME}.{part}": tensor for part, tensor in tensors.items()}, metadata)


WITHOUT_ALPHA = [
    (family, (96,) if family == "norm" else shape)
    for family in ("LoKr, full", "full", "full, bias", "norm", "(IA)³, input", "(IA)³, output")
    for shape in (LINEAR, CONVOLUTION)
]


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
@pytest.mark.parametrize("part", mostly_long(["alpha", "scalar"], usual=1))
@pytest.mark.parametrize(("family", "shape"), WITHOUT_ALPHA)
def test_a_number_that_the_formula_does_not_read_does_no_harm(
    tmp_path: Path, family: str, shape: Shape, part: str, nonsense: str
) -> None:
    tensors = make.module(family, shape, alpha=None)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), shape)
    if family == "LoKr, full" and part == "scalar":
        part = "alpha"  # its scalar is read
    tensors[part] = NONSENSE[nonsense]
    got = deltas(put(tmp_path / "b.safetensors", tensors), shape)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
def test_a_bias_alone_has_no_alpha(tmp_path: Path, nonsense: str) -> None:
    tensors = {"diff_b": torch.ones(32), "alpha": NONSENSE[nonsense]}
    (delta,) = deltas(put(tmp_path / "x.safetensors", tensors), LINEAR).values()
    assert torch.equal(delta, torch.ones(32))


def test_a_bias_for_which_there_is_no_place_may_be_none(tmp_path: Path) -> None:
    tensors = make.module("LoRA", LINEAR) | {"diff_b": torch.full((32,), math.nan)}
    got = changes(put(tmp_path / "x.safetensors", tensors), LINEAR, has_bias=False)
    assert list(got) == ["weight"]


def test_an_alpha_without_its_module_is_left_out(tmp_path: Path) -> None:
    tensors = {f"{NAME}.{part}": t for part, t in make.module("LoRA", LINEAR).items()}
    other = {"lora_unet_other.alpha": HUGE}
    from bot.engine.patches import Spellings, Target, read

    two = known(LINEAR) | {"lora_unet_other": Target("unet", "o", LINEAR, has_bias=False)}
    file = read(save(tmp_path / "x.safetensors", tensors | other), Spellings(two), BASES, subject())
    assert (file.total, file.matched, len(file.changes)) == (1, 1, 1)


@pytest.mark.parametrize("family", ["Diag-OFT", "BOFT"])
def test_an_infinite_bound_is_none(tmp_path: Path, family: str) -> None:
    tensors = make.module(family, LINEAR, alpha=None)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)
    got = deltas(put(tmp_path / "b.safetensors", tensors | {"alpha": HUGE}), LINEAR)
    assert torch.equal(expected["weight"], got["weight"])


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        (family, shape)
        for family in ("LoRA", "LoHa", "LoKr", "LoKr, full", "GLoRA", "LoRA, Tucker")
        for shape in (LINEAR, CONVOLUTION)
        if family in make.fitting(shape)
    ],
)
def test_the_scalar_of_lycoris_multiplies_the_product(
    tmp_path: Path, family: str, shape: Shape
) -> None:
    """`use_scalar`: in the state of a network that was not saved by LyCORIS itself."""
    tensors = make.module(family, shape)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), shape)["weight"] * -0.75
    scaled = put(tmp_path / "b.safetensors", tensors | {"scalar": torch.tensor(-0.75)})
    torch.testing.assert_close(deltas(scaled, shape)["weight"], expected)


@pytest.mark.parametrize("scalar", [-0.75, 2.0])
def test_the_scalar_is_what_lycoris_computes(tmp_path: Path, scalar: float) -> None:
    from lycoris.modules.locon import LoConModule

    layer = torch.nn.Linear(16, 32)
    module: Any = LoConModule("m", layer, lora_dim=4, alpha=2, use_scalar=True)
    with torch.no_grad():
        module.scalar.fill_(scalar)
        module.lora_up.weight.normal_()
        theirs = module.get_diff_weight()[0]
    names = ("lora_down.weight", "lora_up.weight", "alpha", "scalar")
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    path = put(tmp_path / "x.safetensors", {name: state[name].detach() for name in names})
    torch.testing.assert_close(deltas(path, LINEAR)["weight"], theirs)


def test_a_magnitude_is_of_the_scaled_product(tmp_path: Path) -> None:
    tensors = make.module("DoRA", LINEAR)
    tensors["lora_up.weight"] = tensors["lora_up.weight"] * 3.0
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)
    tensors["lora_up.weight"] = tensors["lora_up.weight"] / 3.0
    got = deltas(put(tmp_path / "b.safetensors", tensors | {"scalar": torch.tensor(3.0)}), LINEAR)
    torch.testing.assert_close(got["weight"], expected["weight"])


@pytest.mark.parametrize("scalar", [float("nan"), float("inf"), 1e35])
def test_a_scalar_that_is_none_is_refused(tmp_path: Path, scalar: float) -> None:
    from bot.errors import JobFailed

    tensors = make.module("LoRA", LINEAR) | {"scalar": torch.tensor(scalar)}
    with pytest.raises(JobFailed, match=r"adapter\.(not_finite|broken)"):
        changes(put(tmp_path / "x.safetensors", tensors), LINEAR)


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_network_alpha": "2", "ss_network_dim": "4"},
        {"ss_network_alpha": "2", "ss_network_args": '{"conv_dim": "4", "conv_alpha": "1"}'},
        {"ss_network_alpha": "Dynamic", "ss_network_module": "lycoris.kohya"},
    ],
)
@pytest.mark.parametrize("shape", [LINEAR, CONVOLUTION])
def test_without_an_alpha_the_scale_is_one_whatever_kohyas_metadata_say(
    tmp_path: Path, metadata: dict[str, str], shape: Shape
) -> None:
    tensors = make.module("LoRA", shape, rank=4, alpha=None)
    whole = make.module("LoRA", shape, rank=4, alpha=4.0)
    expected = deltas(put(tmp_path / "a.safetensors", whole), shape)["weight"]
    got = deltas(put(tmp_path / "b.safetensors", tensors, metadata), shape)["weight"]
    assert torch.equal(got, expected)


def test_without_an_alpha_the_scale_is_what_lycoris_computes(tmp_path: Path) -> None:
    from lycoris.modules.locon import LoConModule

    module: Any = LoConModule("m", torch.nn.Linear(16, 32), lora_dim=4, alpha=None)
    with torch.no_grad():
        module.lora_up.weight.normal_()
        theirs = module.get_diff_weight()[0]
    state = {name: module.get_parameter(name) for name in ("lora_down.weight", "lora_up.weight")}
    tensors = {name: tensor.detach() for name, tensor in state.items()}
    path = put(tmp_path / "x.safetensors", tensors, {"ss_network_alpha": "2"})
    torch.testing.assert_close(deltas(path, LINEAR)["weight"], theirs)


def test_the_alpha_of_a_module_outranks_the_metadata(tmp_path: Path) -> None:
    tensors = make.module("LoRA", LINEAR, rank=4, alpha=1.0)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)["weight"]
    metadata = {
        "ss_network_alpha": "4",
        "lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8}),
    }
    got = deltas(put(tmp_path / "b.safetensors", tensors, metadata), LINEAR)["weight"]
    assert torch.equal(got, expected)


def test_converted_names_have_their_scale_in_the_factors(tmp_path: Path) -> None:
    tensors = make.module("LoRA", LINEAR, rank=4, alpha=None)
    names = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
    lettered = {names[part]: tensor for part, tensor in tensors.items()}
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)["weight"]
    got = deltas(put(tmp_path / "b.safetensors", lettered, {"ss_network_alpha": "2"}), LINEAR)
    assert torch.equal(got["weight"], expected)


@pytest.mark.parametrize("part", ["unet.", ""])
def test_the_whole_configuration_may_be_in_the_metadata(tmp_path: Path, part: str) -> None:
    """Of a pipeline, as diffusers packs it, and of one network, as it saves that."""
    fields = {"r": 4, "lora_alpha": 16, "use_rslora": True, "peft_type": "LORA"}
    told = json.dumps({f"{part}{key}": value for key, value in fields.items()})
    tensors = make.module("LoRA", LINEAR, rank=4, alpha=None)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)["weight"] * 8.0
    path = put(tmp_path / "b.safetensors", tensors, {"lora_adapter_metadata": told})
    torch.testing.assert_close(deltas(path, LINEAR)["weight"], expected)


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"lora_alpha": "16"}, 4.0),
        ({"lora_alpha": "16", "use_rslora": "True"}, 8.0),
        ({"lora_alpha": "16", "ss_network_alpha": "1"}, 4.0),
    ],
)
@pytest.mark.parametrize("family", ["LoRA", "LoHa"])
def test_an_alpha_alone_may_be_in_the_metadata(
    tmp_path: Path, family: str, metadata: dict[str, str], scale: float
) -> None:
    tensors = make.module(family, LINEAR, rank=4, alpha=None)
    expected = deltas(put(tmp_path / "a.safetensors", tensors), LINEAR)["weight"] * scale
    got = deltas(put(tmp_path / "b.safetensors", tensors, metadata), LINEAR)["weight"]
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("prefix", "metadata", "unscaled"),
    [
        ("base_model.model.", {}, True),
        ("base_model.model.", {"ss_network_alpha": "2"}, True),
        ("base_model.model.", {"lora_alpha": "2"}, False),
        ("base_model.model.", {"lora_adapter_metadata": '{"unet.lora_alpha": 2}'}, False),
        ("", {}, False),
    ],
)
def test_a_lora_of_peft_without_its_scale_is_known(
    tmp_path: Path, prefix: str, metadata: dict[str, str], *, unscaled: bool
) -> None:
    from bot.engine.patches import Spellings, read

    tensors = {
        f"{prefix}{NAME}.lora_A.weight": torch.ones(4, 16),
        f"{prefix}{NAME}.lora_B.weight": torch.ones(32, 4),
    }
    path = save(tmp_path / "x.safetensors", tensors, metadata or None)
    assert read(path, Spellings(known(LINEAR)), BASES, subject()).unscaled == unscaled


@pytest.mark.parametrize("text", ["{", "[1]", '{"unet.lora_alpha": "no number"}'])
def test_metadata_of_unknown_meaning_is_refused(tmp_path: Path, text: str) -> None:
    from bot.errors import JobFailed
    from catalog.weight_files import BadConfig, read_configs

    tensors = make.module("LoRA", LINEAR, alpha=None)
    path = put(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": text})
    with pytest.raises(JobFailed, match=r"adapter\.bad_config"):
        changes(path, LINEAR)
    with pytest.raises(BadConfig, match="lora_adapter_metadata"):
        read_configs(path, {"lora_adapter_metadata": text})
