"""A tiny untrained network of the SDXL architecture, built on demand: it generates a texture.

It has as many layers as SDXL, with the same names; the trained demo model has fewer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
)

from tools.demo.export import write_index
from tools.demo.words import END, START, write_tokenizer

SEED = 20_261_122
TEXT_WIDTHS = (32, 48)
"""The text encoders' widths. diffusers needs them to differ to tell them apart in a single file."""
WORDS = """
a the of in on at and with by from to one two three red green blue yellow white black golden
small big old young long dark bright soft cat dog fox bird horse dragon robot knight girl boy
woman man person portrait face eyes hair tree forest mountain river lake ocean sea beach sky
cloud clouds snow rain fire water light night day sunset sunrise moon star stars space city
street house castle tower garden flower flowers car ship train bridge field desert island
painting oil watercolor watercolour photo photograph photorealistic realistic anime style
drawing sketch digital art artwork illustration cinematic lighting detailed highly masterpiece
best quality sharp focus low bad anatomy blurry text watermark ugly deformed hands fingers
"""


def build(folder: Path, seed: int = SEED) -> None:
    """Write the model as a diffusers folder.

    The bytes of every weight are the same on every machine and in every call with the same seed.
    """
    folder.mkdir(parents=True)
    vocabulary, merges = vocabulary_and_merges()
    for name, pad in (("tokenizer", END), ("tokenizer_2", "!")):
        write_tokenizer(folder / name, pad, vocabulary, merges)

    first, second = (
        {
            "vocab_size": len(vocabulary),
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "projection_dim": width,
            "bos_token_id": vocabulary[START],
            "eos_token_id": vocabulary[END],
        }
        for width in TEXT_WIDTHS
    )
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 64, 96),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(2, 4, 6),
        norm_num_groups=16,
        cross_attention_dim=sum(TEXT_WIDTHS),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=16,
        projection_class_embeddings_input_dim=TEXT_WIDTHS[1] + 6 * 16,
    )
    parts: dict[str, Any] = {
        "text_encoder": CLIPTextModel(CLIPTextConfig(hidden_act="quick_gelu", **first)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(hidden_act="gelu", **second)),
        "unet": unet,
        "vae": autoencoder(scaling_factor=0.13025, force_upcast=False),
    }
    save(folder, parts, seed)

    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )
    scheduler.save_pretrained(folder / "scheduler")
    write_index(folder)


def autoencoder(**options: Any) -> AutoencoderKL:
    """A VAE with as many levels as those of Stable Diffusion."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=256,
        **options,
    )


def save(folder: Path, parts: Mapping[str, Any], seed: int) -> None:
    """Give every network weights, and write each into its folder."""
    for number, (name, part) in enumerate(parts.items(), seed):
        _fill(part, number)
        if name == "vae":  # softer colours: at full strength nearly every pixel is clipped
            part.decoder.conv_out.weight.data.mul_(0.375)
        part.save_pretrained(folder / name, safe_serialization=True)


def _fill(part: torch.nn.Module, seed: int) -> None:
    """Uniform weights of variance 1/fan_in, from integers: `randn` differs between processors."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(part.named_parameters()):
            if parameter.ndim == 1:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                continue
            whole = torch.randint(-(2**15), 2**15, parameter.shape, generator=generator)
            fan_in = 1 if "embedding." in name else parameter[0].numel()
            parameter.copy_((whole.float() / 2**15) * (3.0 / fan_in) ** 0.5)


def vocabulary_and_merges() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """All bytes, and the merges that make one token of each of WORDS, letter by letter."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in WORDS.split():
        left = word[0]
        for place, letter in enumerate(word[1:], 2):
            right = f"{letter}</w>" if place == len(word) else letter
            if (left, right) not in merges:
                merges.append((left, right))
                tokens.append(left + right)
            left += right
    tokens += [START, END]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}, merges
