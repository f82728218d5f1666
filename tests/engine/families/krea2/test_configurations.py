"""Configurations of Krea 2's networks choose neither code nor sizes."""

from typing import Any

import pytest
import torch

from bot.engine.families.krea2 import Krea2, configurations
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.anima.test_configurations import published as of_anima

SUBJECT = Subject("model", "x", lambda _: None, lambda: None)


def published() -> dict[str, dict[str, Any]]:
    """As huggingface/diffusers writes them for Krea 2, and Qwen for its text encoder."""
    return {
        "transformer": {
            "_class_name": "Krea2Transformer2DModel", "_diffusers_version": "0.39.0.dev0",
            "attention_head_dim": 128, "axes_dims_rope": [32, 48, 48], "in_channels": 64,
            "intermediate_size": 16384, "norm_eps": 1e-05, "num_attention_heads": 48,
            "num_key_value_heads": 12, "num_layers": 28, "num_layerwise_text_blocks": 2,
            "num_refiner_text_blocks": 2, "num_text_layers": 12, "rope_theta": 1000.0,
            "text_hidden_dim": 2560, "text_intermediate_size": 6912,
            "text_num_attention_heads": 20, "text_num_key_value_heads": 20,
            "timestep_embed_dim": 256,
        },
        "text_encoder": {
            "architectures": ["Qwen3VLForConditionalGeneration"], "image_token_id": 151655,
            "model_type": "qwen3_vl",
            "text_config": {
                "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 151643,
                "dtype": "bfloat16", "eos_token_id": 151645, "head_dim": 128,
                "hidden_act": "silu", "hidden_size": 2560, "initializer_range": 0.02,
                "intermediate_size": 9728, "max_position_embeddings": 262144,
                "model_type": "qwen3_vl_text", "num_attention_heads": 32,
                "num_hidden_layers": 36, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
                "rope_scaling": {
                    "mrope_interleaved": True, "mrope_section": [24, 20, 20],
                    "rope_type": "default",
                },
                "rope_theta": 5000000, "tie_word_embeddings": True, "use_cache": True,
                "vocab_size": 151936,
            },
            "tie_word_embeddings": True, "transformers_version": "4.57.0.dev0",
            "video_token_id": 151656,
            "vision_config": {
                "deepstack_visual_indexes": [5, 11, 17], "depth": 24, "hidden_size": 1024,
                "intermediate_size": 4096, "model_type": "qwen3_vl", "num_heads": 16,
                "out_hidden_size": 2560,
            },
            "vision_end_token_id": 151653, "vision_start_token_id": 151652,
        },
        "vae": of_anima()["vae"],
    }  # fmt: skip


GIB = 2**30
SIZES = {"transformer": 23.88, "text_encoder": 7.30, "vae": 0.236}


@pytest.mark.parametrize("network", SIZES)
def test_published_configurations_pass(network: str) -> None:
    """And make networks of the known sizes in 16 bits, which are on the meta device."""
    family = Krea2()
    config = family.checked_config(network, published()[network], SUBJECT)
    module = family.build(network, config)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert not any(buffer.is_meta for buffer in module.buffers())
    size = sum(2 * parameter.numel() for parameter in module.parameters()) / GIB
    assert size == pytest.approx(SIZES[network], rel=0.02)


@pytest.mark.parametrize(
    ("fields", "theta"),
    [
        ({}, 5_000_000),
        ({"rope_scaling": None}, 5_000_000),
        ({"rope_scaling": None, "rope_parameters": {"rope_theta": 7.0}}, 7.0),
        ({"rope_theta": ...}, 500_000.0),
    ],
)
def test_positions_of_words_are_those_of_the_whole_model(
    fields: dict[str, Any], theta: float
) -> None:
    """Whichever of transformers wrote them: what is not said is its default for a Qwen3-VL."""
    said = published()["text_encoder"]
    text = {**said["text_config"], **fields}
    text = {name: value for name, value in text.items() if value is not ...}
    family = Krea2()
    config = family.checked_config("text_encoder", {**said, "text_config": text}, SUBJECT)
    assert config["rope_parameters"] == {"rope_theta": theta} | (
        {"rope_type": "default"} if text["rope_scaling"] else {}
    )
    rotations = family.build("text_encoder", config).rotary_emb.inv_freq
    expected = 1.0 / (theta ** (torch.arange(0, 128, 2, dtype=torch.float) / 128))
    assert torch.equal(rotations, expected)


REFUSED = [
    ("transformer", "in_channels", 16),
    ("transformer", "num_text_layers", 1),
    ("transformer", "num_layers", 10_000),
    ("transformer", "axes_dims_rope", [64, 64]),
    ("transformer", "auto_map", {"AutoModel": "someone/code--m.Model"}),
    ("transformer", "_class_name", "QwenImageTransformer2DModel"),
    ("text_encoder", "model_type", "qwen3"),
    ("text_encoder", "architectures", ["Qwen3ForCausalLM"]),
    ("text_encoder", "quantization_config", {"quant_method": "fp8"}),
    ("vae", "z_dim", 4),
    ("vae", "_class_name", "AutoencoderKLWan"),
]
REFUSED_OF_TEXT = [
    ("hidden_size", 10**6, "hidden_size"),
    ("num_hidden_layers", 34, "num_hidden_layers"),
    ("model_type", "llama", "model_type"),
    ("rope_theta", "x", "rope_parameters"),
    ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}, "rope_parameters"),
    ("rope_scaling", [1], "rope_scaling"),
]


@pytest.mark.parametrize(("network", "field", "value"), REFUSED)
def test_what_would_change_the_result_is_refused_by_name(
    network: str, field: str, value: object
) -> None:
    with pytest.raises(JobFailed) as failure:
        configurations.checked(network, {**published()[network], field: value}, SUBJECT)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"{network}.{field}"


@pytest.mark.parametrize(("field", "value", "named"), REFUSED_OF_TEXT)
def test_so_is_what_a_text_encoder_says_of_its_half_that_is_read(
    field: str, value: object, named: str
) -> None:
    said = published()["text_encoder"]
    text = {**said["text_config"], field: value}
    with pytest.raises(JobFailed) as failure:
        configurations.checked("text_encoder", {**said, "text_config": text}, SUBJECT)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"text_encoder.{named}"
