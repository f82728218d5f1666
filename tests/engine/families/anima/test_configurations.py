"""Configurations of Anima's networks and tokenizers choose neither code nor sizes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import T5Tokenizer

from bot.engine.families.anima import Anima, configurations
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.families.anima.conftest import BASE
from tests.engine.families.anima.test_text import PROMPTS

SUBJECT = Subject("model", "x", lambda _: None, lambda: None)


def published() -> dict[str, dict[str, Any]]:
    """As huggingface/diffusers scripts/convert_anima_to_diffusers.py writes them for Anima."""
    return {
        "transformer": {
            "_class_name": "CosmosTransformer3DModel", "_diffusers_version": "0.39.0.dev0",
            "adaln_lora_dim": 256, "attention_head_dim": 128, "concat_padding_mask": True,
            "controlnet_block_every_n": None, "crossattn_proj_in_channels": 1024,
            "encoder_hidden_states_channels": 1024, "extra_pos_embed_type": None,
            "img_context_dim_in": None, "img_context_dim_out": 2048,
            "img_context_num_tokens": 256, "in_channels": 16, "max_size": [128, 240, 240],
            "mlp_ratio": 4.0, "num_attention_heads": 16, "num_layers": 28, "out_channels": 16,
            "patch_size": [1, 2, 2], "rope_scale": [1.0, 4.0, 4.0], "text_embed_dim": 1024,
            "use_crossattn_projection": False,
        },
        "text_conditioner": {
            "_class_name": "AnimaTextConditioner", "_diffusers_version": "0.39.0.dev0",
            "min_sequence_length": 512, "mlp_ratio": 4.0, "model_dim": 1024,
            "num_attention_heads": 16, "num_layers": 6, "source_dim": 1024, "target_dim": 1024,
            "target_vocab_size": 32128, "use_layer_norm": False, "use_self_attention": True,
        },
        "text_encoder": {
            "architectures": ["Qwen3Model"], "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": None, "dtype": "bfloat16", "eos_token_id": None, "head_dim": 128,
            "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
            "intermediate_size": 3072, "layer_types": ["full_attention"] * 28,
            "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen3",
            "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
            "pad_token_id": None, "rms_norm_eps": 1e-06,
            "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
            "sliding_window": None, "tie_word_embeddings": False,
            "transformers_version": "5.0.0", "use_cache": True, "use_sliding_window": False,
            "vocab_size": 151936,
        },
        "vae": {
            "_class_name": "AutoencoderKLQwenImage", "_diffusers_version": "0.39.0.dev0",
            "attn_scales": [], "base_dim": 96, "dim_mult": [1, 2, 4, 4], "dropout": 0.0,
            "input_channels": 3,
            "latents_mean": [
                -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
                0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
            ],
            "latents_std": [
                2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916,
            ],
            "num_res_blocks": 2, "temperal_downsample": [False, True, True], "z_dim": 16,
        },
    }  # fmt: skip


GIB = 2**30
SIZES = {"transformer": 3.64, "text_conditioner": 0.25, "text_encoder": 1.11, "vae": 0.236}


@pytest.mark.parametrize("network", SIZES)
def test_published_configurations_pass(network: str) -> None:
    """And make networks of the known sizes in 16 bits, which are on the meta device."""
    family = Anima()
    config = family.checked_config(network, published()[network], SUBJECT)
    module = family.build(network, config)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert not any(buffer.is_meta for buffer in module.buffers())
    size = sum(2 * parameter.numel() for parameter in module.parameters()) / GIB
    assert size == pytest.approx(SIZES[network], rel=0.02)


def test_frequencies_are_as_exact_as_they_were_made() -> None:
    """Whatever the networks compute in."""
    family = Anima()
    for network in ("text_conditioner", "text_encoder"):
        module = family.build(
            network, family.checked_config(network, published()[network], SUBJECT)
        )
        frequencies = module.rotary_emb.inv_freq.clone()
        assert frequencies.dtype == torch.float32
        assert torch.equal(module.to(torch.bfloat16).rotary_emb.inv_freq, frequencies)


REFUSED = [
    ("transformer", "in_channels", 17),
    ("transformer", "concat_padding_mask", False),
    ("transformer", "extra_pos_embed_type", "learnable"),
    ("transformer", "img_context_dim_in", 1024),
    ("transformer", "controlnet_block_every_n", 7),
    ("transformer", "use_crossattn_projection", True),
    ("transformer", "max_size", [128, 4096, 4096]),
    ("transformer", "num_layers", 10_000),
    ("transformer", "rope_scale", [1.0, 4.0]),
    ("transformer", "_class_name", "WanTransformer3DModel"),
    ("text_conditioner", "min_sequence_length", 256),
    ("text_conditioner", "target_vocab_size", 10**9),
    ("text_conditioner", "auto_map", {"AutoModel": "someone/code--m.Model"}),
    ("text_encoder", "hidden_size", 10**6),
    ("text_encoder", "architectures", ["T5EncoderModel"]),
    ("vae", "z_dim", 4),
    ("vae", "latents_std", [1.0] * 15 + [0.0]),
    ("vae", "latents_mean", [0.0] * 4),
    ("vae", "temperal_downsample", [False, True]),
    ("vae", "_class_name", "AutoencoderKLWan"),
]


@pytest.mark.parametrize(("network", "field", "value"), REFUSED)
def test_what_would_change_the_result_is_refused_by_name(
    network: str, field: str, value: object
) -> None:
    with pytest.raises(JobFailed) as failure:
        configurations.checked(network, {**published()[network], field: value}, SUBJECT)
    assert failure.value.code == "model.configuration"
    assert failure.value.params["field"] == f"{network}.{field}"


@pytest.fixture
def t5_folder(folders: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders / BASE / "t5_tokenizer", tmp_path / "t5_tokenizer"))


def test_a_t5_tokenizer_is_what_transformers_makes_of_its_files(t5_folder: Path) -> None:
    theirs = T5Tokenizer.from_pretrained(t5_folder, local_files_only=True)
    path = t5_folder / "tokenizer_config.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**said, "padding_side": "left", "name_or_path": "/etc/passwd"}))
    ours = Anima().tokenizer(t5_folder, SUBJECT)
    assert ours.padding_side == "right"
    assert ours("").input_ids == [1]
    for prompt in PROMPTS:
        assert ours(prompt).input_ids == theirs(prompt).input_ids


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extra_ids", 10**9),
        ("tokenizer_class", "LlamaTokenizer"),
        ("auto_map", {"AutoTokenizer": ["someone/code--t.Tokenizer", None]}),
        ("unk_token", "x" * 201),
    ],
)
def test_a_t5_tokenizer_of_another_kind_is_refused(
    t5_folder: Path, field: str, value: object
) -> None:
    path = t5_folder / "tokenizer_config.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**said, field: value}))
    with pytest.raises(JobFailed) as failure:
        Anima().tokenizer(t5_folder, SUBJECT)
    assert failure.value.params["field"] == f"t5_tokenizer.{field}"


def test_a_t5_tokenizer_without_a_vocabulary_is_refused(t5_folder: Path) -> None:
    (t5_folder / "tokenizer.json").unlink()
    with pytest.raises(JobFailed) as failure:
        Anima().tokenizer(t5_folder, SUBJECT)
    reason = "t5_tokenizer has neither tokenizer.json nor spiece.model"
    assert failure.value.params["reason"] == reason
