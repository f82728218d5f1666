"""A tiny untrained FLUX.2 klein, built on demand: it generates a texture.

Its layers have the names of the real one's; there are fewer, but for the text encoder's, of which
three more than are read.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from tokenizers import pre_tokenizers
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

SEED = 20_261_130
WIDTH = 16
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""What Qwen3's own template says of messages without tools, thoughts and a system prompt."""
ENDS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")


def pipeline(*, distilled: bool = True, seed: int = SEED) -> Any:
    """The stock pipeline, in fp32. All numbers depend on `seed` alone."""
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=264,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=30,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=WIDTH // 2,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            tie_word_embeddings=True,
        )
    )
    transformer = Flux2Transformer2DModel(
        in_channels=128,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=WIDTH,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4, sample_size=64
    )
    for number, part in enumerate((encoder, transformer, vae), seed):
        _fill(part, number)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae.eval(),
        text_encoder=encoder.eval(),
        tokenizer=tokenizer(),
        transformer=transformer.eval(),
        is_distilled=distilled,
    )


def tokenizer(ends: tuple[str, ...] = ENDS) -> Any:
    """Each byte is a token, and each of `ends`."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*bytes_, *ends))}
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=[*ends[1:]], chat_template=TEMPLATE
    )


def build(folder: Path, *, distilled: bool = True, seed: int = SEED) -> None:
    """Write the model as a diffusers folder."""
    pipeline(distilled=distilled, seed=seed).save_pretrained(folder)


def _fill(part: torch.nn.Module, seed: int) -> None:
    """Weights of variance 1/fan_in, norms near 1, and statistics unlike those of an unused VAE."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for name, parameter in sorted(part.named_parameters()):
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            scales = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(drawn(parameter) / fan_in**0.5 + scales)
        for name, buffer in sorted(part.named_buffers()):
            if name == "bn.running_mean":
                buffer.copy_(drawn(buffer) / 10)
            if name == "bn.running_var":
                buffer.copy_(1 + drawn(buffer).square())
