"""Adapter files whose tensors or numbers cannot be right, and some that can."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.factories import SHAPES, kohya, save
from tests.engine.patches import make
from tests.engine.patches.reading import NAME, SHAPE, read, refused
from tests.parameters import mostly_long


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr", "GLoRA", "full", "DoRA"])
@pytest.mark.parametrize(("width", "base"), [(2048, "SDXL"), (48, "another base model")])
def test_other_shapes_are_refused(
    known: dict[str, Any], tmp_path: Path, family: str, width: int, base: str
) -> None:
    name = NAME.replace("attn1_to_q", "attn2_to_k")
    failure = refused(make.file(tmp_path / "x.safetensors", family, {name: (64, width)}), known)
    assert failure.code == "adapter.other_shape"
    assert failure.params["module"] == name
    assert failure.params["found"] == f"64×{width}"
    assert failure.params["expected"] == "64×80"
    assert failure.params["family"] == base


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr", "GLoRA", "full", "DoRA"])
@pytest.mark.parametrize(("width", "base"), [(768, "SD 1.5"), (1024, "SD 2")])
def test_a_shape_that_tells_another_base_says_so(
    known: dict[str, Any], tmp_path: Path, family: str, width: int, base: str
) -> None:
    modules = {NAME: SHAPE, NAME.replace("attn1_to_q", "attn2_to_k"): (64, width)}
    failure = refused(make.file(tmp_path / "x.safetensors", family, modules), known)
    assert failure.code == "adapter.other_base"
    assert (failure.params["family"], failure.params["total"]) == (base, 2)


@pytest.mark.parametrize("family", mostly_long(make.fitting((8, 8, 3, 3)), usual=4))
def test_no_family_accepts_other_shapes(known: dict[str, Any], tmp_path: Path, family: str) -> None:
    """Or a norm, or a convolution with another kernel. Never a crash, never wrong broadcasting."""
    convolution = "lora_unet_down_blocks_2_resnets_0_conv1"  # 96×64×3×3
    norm = next(iter(make.demo_norms()))
    codes = set()
    for number, (name, shape) in enumerate(
        [(NAME, (32, 32)), (convolution, (32, 32, 3, 3)), (norm, (32, 32)), (norm, (32, 8, 3, 3))]
    ):
        if "Tucker" not in family or len(shape) > 2:
            path = make.file(tmp_path / f"{number}.safetensors", family, {name: shape})
            codes.add(refused(path, known).code)
    assert codes <= {"adapter.other_shape", "adapter.broken"}


@pytest.mark.parametrize("family", mostly_long(sorted(make.ALGORITHMS), usual=4))
def test_a_missing_or_misshapen_tensor_is_an_error(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    """Each tensor in turn is left out, cut, made an integer: reported or harmless, no crash."""
    name = (
        next(iter(make.demo_norms()))
        if family == "norm"
        else "lora_unet_down_blocks_2_resnets_0_conv1"
    )
    shape = make.NORM_SHAPE if family == "norm" else SHAPES["down_blocks.2.resnets.0.conv1"]
    whole = make.module(family, shape)
    optional = {"alpha", "rescale", "dora_scale", "diff_b", "b_norm"}
    if "Tucker" not in family:
        optional |= {"lora_mid.weight"}
    for part, tensor in whole.items():
        rest = {key: value for key, value in whole.items() if key != part}
        cases = [rest | {part: tensor.reshape(-1)[: tensor.numel() // 2]}] if tensor.ndim else []
        if (family, part) != ("LoKr, full", "alpha"):
            cases.append(rest | {part: torch.ones(2, 3, 5)})
        if part not in {"alpha", "on_input"}:
            cases.append(rest | {part: torch.ones(tensor.shape, dtype=torch.int32)})
        if part not in optional and len(whole) > 1 and part not in {"w_norm", "diff"}:
            cases.append(rest)
        for number, case in enumerate(cases):
            path = tmp_path / f"{number}.safetensors"
            save(path, {f"{name}.{key}": value for key, value in case.items()})
            code = refused(path, known).code
            assert code in {"adapter.broken", "adapter.other_shape", "adapter.unknown_tensor"}, part


def test_two_families_in_one_module_are_broken(known: dict[str, Any], tmp_path: Path) -> None:
    both = make.module("LoRA", SHAPE) | make.module("LoHa", SHAPE)
    path = save(tmp_path / "x.safetensors", {f"{NAME}.{key}": t for key, t in both.items()})
    assert refused(path, known).code == "adapter.broken"


def test_one_module_under_two_names_is_broken(known: dict[str, Any], tmp_path: Path) -> None:
    other = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = {**kohya(NAME, SHAPE), **kohya(other, SHAPE)}
    assert refused(save(tmp_path / "x.safetensors", tensors), known).code == "adapter.broken"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "dtype", mostly_long(["float32", "float16", "bfloat16", "float64", "float8_e5m2"], usual=2)
)
@pytest.mark.parametrize("part", ["lora_up.weight", "alpha"])
def test_numbers_that_are_none_are_refused(
    known: dict[str, Any], tmp_path: Path, value: float, dtype: str, part: str
) -> None:
    tensors = make.module("LoRA", SHAPE)
    if part == "alpha":
        tensors[part] = torch.tensor(value)
    else:
        tensors[part][3, 1] = value
    tensors = {f"{NAME}.{key}": t.to(getattr(torch, dtype)) for key, t in tensors.items()}
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["module"]) == ("adapter.not_finite", NAME)


@pytest.mark.parametrize("family", ["LoRA", "LoHa", "LoKr"])
def test_a_scale_beyond_all_weights_is_refused(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    tensors = make.module(family, SHAPE) | {"alpha": torch.tensor(1e300, dtype=torch.float64)}
    named = {f"{NAME}.{key}": tensor for key, tensor in tensors.items()}
    assert refused(save(tmp_path / "x.safetensors", named), known).code == "adapter.broken"


def test_numbers_that_are_not_used_may_be_none(known: dict[str, Any], tmp_path: Path) -> None:
    tensors = {**kohya(NAME, SHAPE), **kohya("lora_unet_x", SHAPE)}
    tensors["lora_unet_x.lora_up.weight"][0, 0] = float("nan")
    assert read(save(tmp_path / "x.safetensors", tensors), known).matched == 1


def test_8_bit_numbers_and_whole_alphas_are_read(known: dict[str, Any], tmp_path: Path) -> None:
    """Mixed with others, so that they are not aligned to their size."""
    tensors = make.module("LoRA", SHAPE, rank=3)
    tensors["lora_up.weight"] = tensors["lora_up.weight"].to(torch.float8_e4m3fn)
    tensors["alpha"] = torch.tensor(6)
    named = {f"{NAME}.{key}": tensor for key, tensor in tensors.items()}
    delta = (
        read(save(tmp_path / "x.safetensors", named), known).changes[0].delta(torch.zeros(SHAPE))
    )
    expected = 2.0 * tensors["lora_up.weight"].float() @ tensors["lora_down.weight"]
    torch.testing.assert_close(delta, expected)


def test_unaligned_numbers_are_read(known: dict[str, Any], tmp_path: Path) -> None:
    down, up = torch.randn(2, 64), torch.randn(64, 2)
    parts: dict[str, Any] = {
        "pad.alpha": b"\0",
        f"{NAME}.lora_down.weight": down,
        f"{NAME}.lora_up.weight": up,
    }
    header, data = {}, b""
    for name, tensor in parts.items():
        raw = tensor if isinstance(tensor, bytes) else tensor.numpy().tobytes()
        shape = [1] if isinstance(tensor, bytes) else list(tensor.shape)
        dtype = "U8" if isinstance(tensor, bytes) else "F32"
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    delta = read(path, known).changes[0].delta(torch.zeros(SHAPE))
    torch.testing.assert_close(delta, up @ down)
