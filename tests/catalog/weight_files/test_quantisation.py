"""Which files have weights that can be read, and what is said of the others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.weight_files import Header
from catalog.weight_files.harmless import is_harmless
from catalog.weight_files.quantisation import (
    MARK_MAX,
    UnknownQuantisation,
    check_format,
    config_refusal,
    refusal,
    scales_of,
)

LAYER = "model.diffusion_model.input_blocks.4.1.proj_in"
Tensors = dict[str, tuple[str, tuple[int, ...]]]


def header(tensors: Tensors, **metadata: str) -> Header:
    none = dict.fromkeys(tensors, 0)
    return Header(
        {name: shape for name, (_, shape) in tensors.items()},
        {name: dtype for name, (dtype, _) in tensors.items()},
        none,
        none,
        0,
        metadata,
    )


def eight(**beside: tuple[str, tuple[int, ...]]) -> Tensors:
    """A layer in 8 bits, and what stands beside its weight."""
    own: Tensors = {f"{LAYER}.weight": ("F8_E4M3", (6, 4)), f"{LAYER}.bias": ("F16", (6,))}
    return own | {f"{LAYER}.{leaf}": tensor for leaf, tensor in beside.items()}


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_plain_floats_are_plain(dtype: str) -> None:
    assert scales_of(header({f"{LAYER}.weight": (dtype, (6, 4))})) == {}


@pytest.mark.parametrize("leaf", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("form", [(), (1,), (6,), (6, 1), (1, 1)])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_scale_is_one_number_for_all_or_for_each_row(
    leaf: str, form: tuple[int, ...], dtype: str
) -> None:
    tensors = eight(**{leaf: (dtype, form)}, scale_input=("F32", ()), comfy_quant=("U8", (27,)))
    tensors["model.diffusion_model.scaled_fp8"] = ("F8_E4M3", (2,))
    assert scales_of(header(tensors)) == {f"{LAYER}.weight": f"{LAYER}.{leaf}"}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({f"{LAYER}.weight.absmax": ("F32", (3,))}, "bitsandbytes (4 bits)"),
        ({f"{LAYER}.weight.quant_map": ("F32", (16,))}, "bitsandbytes (4 bits)"),
        ({f"{LAYER}.weight.nested_absmax": ("F32", (1,))}, "bitsandbytes (4 bits)"),
        ({f"{LAYER}.weight.quant_state.bitsandbytes__nf4": ("U8", (9,))}, "bitsandbytes (4 bits)"),
        ({f"{LAYER}.weight.quant_state.bitsandbytes__fp4": ("U8", (9,))}, "bitsandbytes (4 bits)"),
        ({f"{LAYER}.SCB": ("F32", (6,))}, "bitsandbytes (8 bits)"),
        ({f"{LAYER}.weight_format": ("U8", ())}, "bitsandbytes (8 bits)"),
        ({f"{LAYER}.qweight": ("I32", (6, 1))}, "GPTQ or AWQ"),
        ({f"{LAYER}.qzeros": ("I32", (6, 1))}, "GPTQ or AWQ"),
        ({f"{LAYER}.wscales": ("F16", (6, 1))}, "SVDQuant"),
        ({f"{LAYER}.smooth_factor": ("F16", (6,))}, "SVDQuant"),
        ({f"{LAYER}.weight._data": ("I8", (6, 4))}, "Quanto"),
        ({f"{LAYER}.weight._scale": ("F16", (6, 1))}, "Quanto"),
        ({f"{LAYER}.weight_packed": ("I32", (6, 1))}, "compressed-tensors"),
        ({f"{LAYER}._weight_qdata": ("I8", (6, 4))}, "torchao"),
        ({f"{LAYER}.weight:qdata": ("I8", (6, 4))}, "torchao"),
        ({f"{LAYER}.weight.tensor_impl.int_data": ("I8", (6, 4))}, "torchao"),
        ({f"{LAYER}.W_q": ("U8", (6, 4))}, "HQQ"),
        (eight(weight_scale=("F32", ()), weight_scale_2=("F32", ())), "NVFP4"),
        (eight(weight_scale_inv=("F32", (1, 1))), "FP8 in blocks"),
        ({f"{LAYER}.weight": ("I8", (6, 4))}, "weight is of type I8; known are F64, F32"),
        ({f"{LAYER}.weight": ("U8", (6, 2))}, "weight is of type U8"),
        ({f"{LAYER}.weight": ("F4", (6, 4))}, "weight is of type F4"),
        ({f"{LAYER}.weight": ("F8_E4M3FNUZ", (6, 4))}, "weight is of type F8_E4M3FNUZ"),
        (
            {f"{LAYER}.weight": ("I8", (6, 4)), f"{LAYER}.weight_scale": ("F32", ())},
            "weight is of type I8",
        ),
        (
            {f"{LAYER}.weight": ("F16", (6, 4)), f"{LAYER}.scale_weight": ("F32", ())},
            "scale_weight scales a weight of type F16",
        ),
        ({f"{LAYER}.scale_weight": ("F32", ())}, "scales a weight of type unknown"),
        (eight(weight_scale=("U8", (6, 1))), "weight_scale is of type U8"),
        (eight(weight_scale=("F8_E8M0", (6, 1))), "weight_scale is of type F8_E8M0"),
        (eight(weight_scale=("F32", (3, 2))), "has the shape 3×2"),
        (eight(weight_scale=("F32", (6, 2))), "has the shape 6×2"),
        (eight(weight_scale=("F32", (4,))), "has the shape 4"),
        (eight(weight_scale=("F32", (6, 1, 1))), "has the shape 6×1×1"),
        (eight(weight_scale=("F32", ()), scale_weight=("F32", ())), "has two scales"),
        (eight(zp=("F32", ())), f"{LAYER}.zp is unknown beside a weight in 8 bits"),
    ],
)
def test_everything_else_is_refused_by_name(tensors: Tensors, said: str) -> None:
    assert said in str(refusal(header(tensors)))
    with pytest.raises(UnknownQuantisation):
        scales_of(header(tensors))


def test_integers_that_are_no_weights_are_no_matter() -> None:
    tensors: Tensors = {
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids": ("I64", (1, 77)),
        "global_step": ("I64", ()),
    }
    assert refusal(header(tensors)) is None


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({LAYER: {"format": "float8_e4m3fn"}}, None),
        ({LAYER: "float8_e5m2"}, None),
        ({LAYER: {"format": "float8_e4m3fn", "full_precision_matrix_mult": True}}, None),
        ({LAYER: {"format": "nvfp4"}}, "is in the format nvfp4; known are float8_e4m3fn"),
        ({LAYER: {"format": "int8_tensorwise", "convrot": True}}, "int8_tensorwise with convrot"),
        ({LAYER: {"format": "float8_e4m3fn", "convrot": True}}, "float8_e4m3fn with convrot"),
        ({LAYER: {}}, "is in the format None"),
        ([LAYER], "do not list any layers"),
    ],
)
def test_comfys_metadata_name_the_format_of_each_layer(layers: Any, said: str | None) -> None:
    tensors = eight(weight_scale=("F32", ()))
    text = json.dumps({"format_version": "1.0", "layers": layers})
    reason = refusal(header(tensors, _quantization_metadata=text))
    assert reason is None if said is None else said in str(reason)
    assert "do not list" in str(refusal(header(tensors, _quantization_metadata="[[[[")))


def test_a_format_beside_the_layer_is_checked() -> None:
    check_format(b'{"format": "float8_e4m3fn"}', "a.comfy_quant")
    for raw, said in ((b'{"format": "mxfp8"}', "mxfp8"), (b"\xff", "is not JSON")):
        with pytest.raises(UnknownQuantisation, match=said):
            check_format(raw, "a.comfy_quant")


def test_what_a_layer_says_of_itself_is_read_within_limits(tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    file.write_bytes(b" " * (MARK_MAX + 1))
    for size, said in ((MARK_MAX, "is not JSON"), (MARK_MAX + 1, f"larger than {MARK_MAX} bytes")):
        mark = Header(
            {f"{LAYER}.comfy_quant": (size,)},
            {f"{LAYER}.comfy_quant": "U8"},
            {f"{LAYER}.comfy_quant": 0},
            {f"{LAYER}.comfy_quant": size},
            0,
            {},
        )
        assert said in str(refusal(mark, file))
        assert refusal(mark) is None


def test_what_a_layer_says_of_itself_in_another_shard_is_not_looked_for_in_this(
    tmp_path: Path,
) -> None:
    """The header is then of this file, with the shapes of all."""
    file = tmp_path / "model-00001-of-00002.safetensors"
    file.write_bytes(b"")
    own = header(eight())
    assert refusal(replace(own, shapes={**own.shapes, "a.comfy_quant": (27,)}), file) is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"quant_method": "bitsandbytes"}, "bitsandbytes"),
        ({"quant_method": "torchao"}, "torchao"),
        ({"quant_method": "quanto", "weights_dtype": "int8"}, "quanto"),
        ({}, "an unnamed method"),
        ([], "an unnamed method"),
    ],
)
def test_a_folder_that_says_it_is_quantised_is_refused(config: Any, said: str) -> None:
    assert said in str(config_refusal({"quantization_config": config}))
    assert config_refusal({"in_channels": 4, "quantization_config": None}) is None


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("model_ema.diffusion_modelinput_blocks00weight", True),
        ("model_ema.decay", True),
        ("first_stage_model.loss.discriminator.main.0.weight", True),
        ("conditioner.embedders.0.transformer.text_model.embeddings.position_ids", True),
        ("conditioner.embedders.1.model.logit_scale", True),
        ("denoiser.sigmas", True),
        ("alphas_cumprod", True),
        ("sqrt_one_minus_alphas_cumprod", True),
        ("model.diffusion_model.v_pred", True),
        ("edm_vpred.sigma_max", True),
        ("model.diffusion_model.scaled_fp8", True),
        ("optimizer_states.0", True),
        ("model.diffusion_model.input_blocks.4.1.proj_in.lora_A.weight", False),
        ("model.diffusion_model.extra.weight", False),
        ("denoiserx.weight", False),
    ],
)
def test_what_may_be_left_out_without_a_word_is_known(name: str, harmless: bool) -> None:
    assert is_harmless(name) is harmless
