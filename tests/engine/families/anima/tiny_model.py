"""A tiny untrained Anima, built on demand: it generates a texture.

Its layers have the names of the real one's; there are fewer.
"""

import math
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AnimaAutoBlocks,
    AnimaTextConditioner,
    AutoencoderKLQwenImage,
    CosmosTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
)
from transformers import Qwen3Config, Qwen3Model, T5Tokenizer

from tests.engine.families.flux2.tiny_model import tokenizer

SEED = 20_261_201
WIDTH = 16
PIECES = ("<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz", "▁fox", "sn", "ow", ",")


def pipeline(*, seed: int = SEED) -> Any:
    """The stock pipeline, in fp32. All numbers depend on `seed` alone."""
    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=264,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=WIDTH // 2,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        )
    )
    conditioner = AnimaTextConditioner(
        source_dim=WIDTH,
        target_dim=WIDTH,
        model_dim=WIDTH,
        num_layers=2,
        num_attention_heads=2,
        target_vocab_size=40,
    )
    transformer = CosmosTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=WIDTH,
        num_layers=2,
        text_embed_dim=WIDTH,
        adaln_lora_dim=WIDTH // 2,
        rope_scale=(1.0, 4.0, 4.0),
        extra_pos_embed_type=None,
    )
    vae = AutoencoderKLQwenImage(base_dim=8)
    for number, part in enumerate((encoder, conditioner, transformer, vae), seed):
        _fill(part, number)
    pipe = AnimaAutoBlocks().init_pipeline()
    pipe.update_components(
        text_encoder=encoder.eval(),
        tokenizer=tokenizer(),
        t5_tokenizer=pieces(),
        text_conditioner=conditioner.eval(),
        transformer=transformer.eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    return pipe


def pieces() -> Any:
    """Each letter is a token, and some of their sequences."""
    scored = [(piece, -float(number)) for number, piece in enumerate(PIECES)]
    return T5Tokenizer(vocab=scored, extra_ids=0)


def build(folder: Path, *, seed: int = SEED) -> None:
    """Write the model as a folder of diffusers' modular kind."""
    pipeline(seed=seed).save_pretrained(str(folder), overwrite_modular_index=True)


def _fill(part: torch.nn.Module, seed: int) -> None:
    """Weights of variance 1/fan_in, norms near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(part.named_parameters()):
            norm = name.endswith("gamma") or (parameter.ndim == 1 and name.endswith("weight"))
            fan_in = 100 if norm or parameter.ndim == 1 else math.prod(parameter.shape[1:])
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn / fan_in**0.5 + norm)
