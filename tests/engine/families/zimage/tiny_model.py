"""A tiny untrained Z-Image, built on demand: it generates a texture.

Its layers have the names of the real one's; there are fewer.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import Qwen3Config, Qwen3Model

from tests.engine.families.flux2.tiny_model import tokenizer

SEED = 20_261_131
WIDTH = 16
LAYERS = 36


def pipeline(*, dynamic: bool = False, seed: int = SEED) -> Any:
    """The stock pipeline, in fp32. All numbers depend on `seed` alone."""
    encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=264,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=WIDTH // 2,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        )
    )
    transformer = ZImageTransformer2DModel(
        dim=2 * WIDTH,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 64, 64],
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=16,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    for number, part in enumerate((encoder, transformer, vae), seed):
        _fill(part, number)
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic),
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=tokenizer(),
        transformer=transformer.eval(),
    )


def build(folder: Path, *, dynamic: bool = False, seed: int = SEED) -> None:
    """Write the model as a diffusers folder."""
    pipeline(dynamic=dynamic, seed=seed).save_pretrained(folder)


def _fill(part: torch.nn.Module, seed: int) -> None:
    """Weights of variance 1/fan_in, norms near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(part.named_parameters()):
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            scales = parameter.ndim == 1 and name.endswith("weight")
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn / fan_in**0.5 + scales)
