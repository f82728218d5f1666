"""An untrained SD 1.5. Imports torch.

Tiny, it has as many blocks as SD 1.5, with the same names.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from tools.headers.models import MODELS
from tools.untrained import tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_204
Sizes = Mapping[str, Mapping[str, Any]]

_TEXT: Final = {
    "vocab_size": tokenizers.CLIP_VOCABULARY,
    "hidden_act": "quick_gelu",
    # As published; with an EOS id of 2, CLIP pools at the highest token id.
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_VAE: Final = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
TINY: Final[Sizes] = {
    "text_encoder": {
        **_TEXT,
        "hidden_size": 16,
        "intermediate_size": 64,
        "projection_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "unet": {
        **MODELS["sd15"][1],
        "sample_size": 8,
        "block_out_channels": (16, 16, 32, 32),
        "attention_head_dim": 2,  # the number of heads, as in SD 1.5 itself
        "norm_num_groups": 8,
        "cross_attention_dim": 16,
    },
    "vae": {
        **_VAE,
        "block_out_channels": (8, 8, 8, 8),
        "norm_num_groups": 4,
        "sample_size": 64,
    },
}
TRUE: Final[Sizes] = {
    "text_encoder": {
        **_TEXT,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "projection_dim": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    },
    "unet": {**MODELS["sd15"][1], "sample_size": 64},
    "vae": {
        **_VAE,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 512,
    },
}


def pipeline(sizes: Sizes = TINY, *, seed: int = SEED, like: Like = PLAIN) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone."""
    config = CLIPTextConfig(**sizes["text_encoder"])
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    return StableDiffusionPipeline(
        vae=made(lambda: AutoencoderKL(**sizes["vae"]), seed, like),
        text_encoder=made(lambda: CLIPTextModel(config), seed + 1, like),
        tokenizer=tokenizers.clip(),
        unet=made(lambda: UNet2DConditionModel(**sizes["unet"]), seed + 2, like),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


build = writer(pipeline)
