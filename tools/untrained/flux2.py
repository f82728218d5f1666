"""An untrained FLUX.2 klein. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer, but for the text encoder's, of
which three more than are read.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from transformers import Qwen3ForCausalLM

from tools.headers.models import MODELS
from tools.untrained import qwen3, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_130
Sizes = Mapping[str, Mapping[str, Any]]

TINY: Final[Sizes] = {
    "text_encoder": {**qwen3.TINY, "num_hidden_layers": 30},
    "transformer": {
        "in_channels": 128,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 48,
        "timestep_guidance_channels": 32,
        "axes_dims_rope": (4, 4, 4, 4),
        "guidance_embeds": False,
    },
    "vae": {
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 64,
    },
}
TRUE: Final[Sizes] = {
    "text_encoder": qwen3.B4,
    "transformer": MODELS["flux2-klein-4b"][1],
    "vae": {},
}
"""klein 4B."""


def pipeline(
    sizes: Sizes = TINY, *, distilled: bool = True, seed: int = SEED, like: Like = PLAIN
) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone."""
    config = qwen3.config({"tie_word_embeddings": True, **sizes["text_encoder"]})
    encoder = made(lambda: Qwen3ForCausalLM(config), seed, like)
    transformer = made(lambda: Flux2Transformer2DModel(**sizes["transformer"]), seed + 1, like)
    vae = made(lambda: AutoencoderKLFlux2(**sizes["vae"]), seed + 2, like)
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizers.qwen(),
        transformer=transformer,
        is_distilled=distilled,
    )


build = writer(pipeline)
