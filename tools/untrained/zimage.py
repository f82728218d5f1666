"""An untrained Z-Image. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import Qwen3Model

from tools.headers.models import MODELS
from tools.untrained import qwen3, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_131
LAYERS: Final = 36
"""Of the text encoder, in every size."""
Sizes = Mapping[str, Mapping[str, Any]]

_VAE: Final = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
TINY: Final[Sizes] = {
    "text_encoder": {**qwen3.TINY, "num_hidden_layers": LAYERS},
    "transformer": {
        "dim": 32,
        "n_layers": 2,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 2,
        "cap_feat_dim": 16,
        "axes_dims": [4, 6, 6],
        "axes_lens": [1024, 64, 64],
    },
    "vae": {
        **_VAE,
        "block_out_channels": (8, 8, 8, 8),
        "norm_num_groups": 4,
        "sample_size": 64,
    },
}
TRUE: Final[Sizes] = {
    "text_encoder": qwen3.B4,
    "transformer": MODELS["zimage"][1],
    "vae": {
        **_VAE,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 1024,
    },
}


def pipeline(
    sizes: Sizes = TINY, *, dynamic: bool = False, seed: int = SEED, like: Like = PLAIN
) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone.

    dynamic: whether the shift of its noise levels depends on the size.
    """
    config = qwen3.config({**sizes["text_encoder"]})
    encoder = made(lambda: Qwen3Model(config), seed, like)
    transformer = made(lambda: ZImageTransformer2DModel(**sizes["transformer"]), seed + 1, like)
    vae = made(lambda: AutoencoderKL(**sizes["vae"]), seed + 2, like)
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizers.qwen(),
        transformer=transformer,
    )


build = writer(pipeline)
