"""Configurations of Chroma's networks choose neither code nor sizes."""

from typing import Any

import pytest

from bot.engine.families.chroma import Chroma, configurations
from bot.engine.subject import Subject
from bot.errors import JobFailed

SUBJECT = Subject("model", "x", lambda _: None, lambda: None)


def published() -> dict[str, dict[str, Any]]:
    """As in lodestones/Chroma1-HD. Its transformer's has fields of FLUX.1 that are not read
    (huggingface/diffusers issue 12112)."""
    blocks = {"down_block_types": ["DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D"]}
    return {
        "transformer": {
            "_class_name": "ChromaTransformer2DModel", "attention_head_dim": 128,
            "approximator_hidden_dim": 5120, "approximator_layers": 5,
            "approximator_num_channels": 64, "axes_dims_rope": [16, 56, 56],
            "guidance_embeds": False, "in_channels": 64, "joint_attention_dim": 4096,
            "num_attention_heads": 24, "num_layers": 19, "num_single_layers": 38,
            "out_channels": None, "patch_size": 1, "pooled_projection_dim": 768,
        },
        "text_encoder": {
            "architectures": ["T5EncoderModel"], "classifier_dropout": 0.0, "d_ff": 10240,
            "d_kv": 64, "d_model": 4096, "decoder_start_token_id": 0, "dense_act_fn": "gelu_new",
            "dropout_rate": 0.1, "eos_token_id": 1, "feed_forward_proj": "gated-gelu",
            "initializer_factor": 1.0, "is_encoder_decoder": True, "is_gated_act": True,
            "layer_norm_epsilon": 1e-06, "model_type": "t5", "num_decoder_layers": 24,
            "num_heads": 64, "num_layers": 24, "output_past": True, "pad_token_id": 0,
            "relative_attention_max_distance": 128, "relative_attention_num_buckets": 32,
            "tie_word_embeddings": False, "use_cache": True, "vocab_size": 32128,
        },
        "vae": {
            "_class_name": "AutoencoderKL", "act_fn": "silu",
            "block_out_channels": [128, 256, 512, 512],
            **{name: 4 * kind for name, kind in blocks.items()}, "force_upcast": True,
            "in_channels": 3, "latent_channels": 16, "latents_mean": None, "latents_std": None,
            "layers_per_block": 2, "mid_block_add_attention": True, "norm_num_groups": 32,
            "out_channels": 3, "sample_size": 1024, "scaling_factor": 0.3611,
            "shift_factor": 0.1159, "use_post_quant_conv": False, "use_quant_conv": False,
        },
    }  # fmt: skip


GIB = 2**30
SIZES = {"transformer": 16.58, "text_encoder": 8.87, "vae": 0.156}


@pytest.mark.parametrize("network", SIZES)
def test_published_configurations_pass(network: str) -> None:
    """And make networks of the known sizes in 16 bits, which are on the meta device."""
    config = configurations.checked(network, published()[network], SUBJECT)
    module = Chroma().build(network, config)
    assert all(parameter.is_meta for parameter in module.parameters())
    numbers = sum(parameter.numel() for parameter in module.parameters())
    assert numbers * 2 / GIB == pytest.approx(SIZES[network], rel=0.01)
    assert not module.state_dict().keys() - dict(module.named_parameters()).keys()


REFUSED = [
    ("transformer", "in_channels", 128),
    ("transformer", "patch_size", 2),
    ("transformer", "num_layers", 10**9),
    ("transformer", "axes_dims_rope", [16, 56]),
    ("transformer", "approximator_hidden_dim", 10**9),
    ("transformer", "_class_name", "FluxTransformer2DModel"),
    ("transformer", "quantization_config", {"quant_method": "bitsandbytes"}),
    ("text_encoder", "model_type", "umt5"),
    ("vae", "latent_channels", 4),
]


@pytest.mark.parametrize(("network", "field", "value"), REFUSED)
def test_what_would_change_the_result_is_refused_by_name(
    network: str, field: str, value: object
) -> None:
    with pytest.raises(JobFailed) as failure:
        configurations.checked(network, {**published()[network], field: value}, SUBJECT)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"{network}.{field}"
