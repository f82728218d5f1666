"""Configurations of FLUX.2 klein's networks choose neither code nor sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Tokenizer

from bot.engine.families.flux2 import Flux2, configurations
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.flux2.conftest import KLEIN
from tests.engine.families.flux2.test_text import PROMPTS
from tools.untrained import tokenizers

SUBJECT = Subject("model", "x", lambda _: None, lambda: None)


def published() -> dict[str, dict[str, Any]]:
    """The configurations of black-forest-labs/FLUX.2-klein-4B."""
    blocks = {"down_block_types": ["DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D"]}
    return {
        "transformer": {
            "_class_name": "Flux2Transformer2DModel", "_diffusers_version": "0.37.0.dev0",
            "attention_head_dim": 128, "axes_dims_rope": [32, 32, 32, 32], "eps": 1e-06,
            "guidance_embeds": False, "in_channels": 128, "joint_attention_dim": 7680,
            "mlp_ratio": 3.0, "num_attention_heads": 24, "num_layers": 5, "num_single_layers": 20,
            "out_channels": None, "patch_size": 1, "rope_theta": 2000,
            "timestep_guidance_channels": 256,
        },
        "text_encoder": {
            "architectures": ["Qwen3ForCausalLM"], "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 151643, "dtype": "bfloat16",
            "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2560,
            "initializer_range": 0.02, "intermediate_size": 9728,
            "layer_types": ["full_attention"] * 36, "max_position_embeddings": 40960,
            "max_window_layers": 36, "model_type": "qwen3", "num_attention_heads": 32,
            "num_hidden_layers": 36, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
            "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
            "tie_word_embeddings": True, "transformers_version": "4.56.1", "use_cache": True,
            "use_sliding_window": False, "vocab_size": 151936,
        },
        "vae": {
            "_class_name": "AutoencoderKLFlux2", "act_fn": "silu", "batch_norm_eps": 0.0001,
            "batch_norm_momentum": 0.1, "block_out_channels": [128, 256, 512, 512],
            **{name: 4 * kind for name, kind in blocks.items()}, "force_upcast": True,
            "in_channels": 3, "latent_channels": 32, "layers_per_block": 2,
            "mid_block_add_attention": True, "norm_num_groups": 32, "out_channels": 3,
            "patch_size": [2, 2], "sample_size": 1024, "use_post_quant_conv": True,
            "use_quant_conv": True,
        },
    }  # fmt: skip


GIB = 2**30
SIZES = {"transformer": 7.2, "text_encoder": 5.8, "vae": 0.157}


@pytest.mark.parametrize("network", SIZES)
def test_published_configurations_pass(network: str) -> None:
    """And make networks of the known sizes in 16 bits, which are on the meta device."""
    config = configurations.checked(network, published()[network], SUBJECT)
    module = Flux2().build(network, config)
    assert all(parameter.is_meta for parameter in module.parameters())
    numbers = sum(parameter.numel() for parameter in module.parameters())
    assert numbers * 2 / GIB == pytest.approx(SIZES[network], rel=0.02)
    assert not module.state_dict().keys() - dict(module.named_parameters()).keys()


def test_the_base_of_positions_may_be_said_in_either_way() -> None:
    old = published()["text_encoder"]
    new = {**old, "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000}}
    del new["rope_theta"], new["rope_scaling"]
    found = []
    for config in (old, new):
        module = Flux2().build(
            "text_encoder", configurations.checked("text_encoder", config, SUBJECT)
        )
        found.append(module.rotary_emb.inv_freq)
    assert torch.equal(*found)
    assert found[0][1] == pytest.approx(1e6 ** (-2 / 128))


REFUSED = [
    ("transformer", "guidance_embeds", True),
    ("transformer", "in_channels", 64),
    ("transformer", "num_layers", 10**9),
    ("transformer", "axes_dims_rope", [16, 56, 56]),
    ("transformer", "_class_name", "FluxTransformer2DModel"),
    ("transformer", "quantization_config", {"quant_method": "bitsandbytes"}),
    ("text_encoder", "num_hidden_layers", 26),
    ("text_encoder", "auto_map", {"AutoModel": "someone/code--m.Model"}),
    ("text_encoder", "rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
    ("text_encoder", "rope_parameters", {"rope_type": "yarn", "factor": 4.0}),
    ("text_encoder", "layer_types", ["sliding_attention"] * 36),
    ("text_encoder", "use_sliding_window", True),
    ("text_encoder", "architectures", ["Mistral3ForConditionalGeneration"]),
    ("text_encoder", "vocab_size", True),
    ("vae", "latent_channels", 16),
    ("vae", "block_out_channels", [128, 256, 512]),
    ("vae", "patch_size", [1, 1]),
    ("vae", "_class_name", "AutoencoderKL"),
]


@pytest.mark.parametrize(("network", "field", "value"), REFUSED)
def test_what_would_change_the_result_is_refused_by_name(
    network: str, field: str, value: object
) -> None:
    with pytest.raises(JobFailed) as failure:
        configurations.checked(network, {**published()[network], field: value}, SUBJECT)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"{network}.{field}"


def test_what_chooses_code_or_is_unknown_is_dropped() -> None:
    chosen = {"attn_implementation": "someone/kernel", "use_kernels": True, "dtype": "float64"}
    config = {**published()["text_encoder"], **chosen, "output_attentions": True}
    found = configurations.checked("text_encoder", config, SUBJECT)
    assert found.keys() & (chosen.keys() | {"output_attentions", "pad_token_id"}) == set()
    assert found["num_hidden_layers"] == 27


def test_a_tokenizer_is_what_transformers_makes_of_its_files(folders: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders / KLEIN / "tokenizer", tmp_path / "tokenizer"))
    theirs = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
    path = folder / "tokenizer_config.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    endless = "{% for a in range(10**9) %}{{ a }}{% endfor %}"
    path.write_text(json.dumps({**said, "name_or_path": "/etc/passwd", "chat_template": endless}))
    (folder / "chat_template.jinja").write_text(endless)
    ours = Flux2().tokenizer(folder, SUBJECT)
    assert ours.chat_template is None
    assert ours.pad_token_id == theirs.pad_token_id
    for prompt in PROMPTS:
        assert ours(prompt).input_ids == theirs(prompt).input_ids


def test_a_tokenizer_without_the_marks_of_the_template_is_refused(tmp_path: Path) -> None:
    made = tokenizers.qwen(tokenizers.ENDS[:3])
    made.save_pretrained(tmp_path)
    with pytest.raises(JobFailed) as failure:
        Flux2().tokenizer(tmp_path, SUBJECT)
    assert failure.value.params["reason"] == "its tokenizer has no <think>"
