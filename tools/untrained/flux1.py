"""An untrained FLUX.1. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, T5EncoderModel

from tools.headers.models import MODELS
from tools.untrained import sd15, t5, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_201
Sizes = Mapping[str, Mapping[str, Any]]

_VAE: Final = {**MODELS["vae-flux1"][1], "scaling_factor": 0.3611, "shift_factor": 0.1159}
TINY: Final[Sizes] = {
    "text_encoder": sd15.TINY["text_encoder"],
    "text_encoder_2": t5.TINY,
    "transformer": {
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": t5.TINY["d_model"],
        "pooled_projection_dim": sd15.TINY["text_encoder"]["hidden_size"],
        "axes_dims_rope": (4, 6, 6),
    },
    "vae": {
        **_VAE,
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 64,
    },
}
TRUE: Final[Sizes] = {
    "text_encoder": sd15.TRUE["text_encoder"],
    "text_encoder_2": t5.XXL,
    "transformer": MODELS["flux1-schnell"][1],
    "vae": {**_VAE, "sample_size": 1024},
}


def pipeline(
    sizes: Sizes = TINY,
    *,
    guided: bool = True,
    edits: bool = False,
    seed: int = SEED,
    like: Like = PLAIN,
) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone.

    guided: whether it is told its guidance, as all are but schnell. edits: whether it is Kontext's.
    """
    clip, pieces = CLIPTextConfig(**sizes["text_encoder"]), t5.config({**sizes["text_encoder_2"]})
    options = {**sizes["transformer"], "guidance_embeds": guided}
    shifted = {"shift": 3.0, "use_dynamic_shifting": True} if guided else {"shift": 1.0}
    kind = FluxKontextPipeline if edits else FluxPipeline
    return kind(
        scheduler=FlowMatchEulerDiscreteScheduler(**shifted),
        vae=made(lambda: AutoencoderKL(**sizes["vae"]), seed + 3, like),
        text_encoder=made(lambda: CLIPTextModel(clip), seed, like),
        tokenizer=tokenizers.clip(),
        text_encoder_2=made(lambda: T5EncoderModel(pieces), seed + 1, like),
        tokenizer_2=tokenizers.t5(),
        transformer=made(lambda: FluxTransformer2DModel(**options), seed + 2, like),
    )


build = writer(pipeline)
