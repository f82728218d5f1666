"""An untrained Chroma. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import (
    AutoencoderKL,
    ChromaPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
)
from transformers import T5EncoderModel

from tools.headers.models import MODELS
from tools.untrained import t5, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer
from tools.untrained.zimage import TINY as TINY_OF_ZIMAGE
from tools.untrained.zimage import TRUE as TRUE_OF_ZIMAGE

SEED: Final = 20_261_202
Sizes = Mapping[str, Mapping[str, Any]]

TINY: Final[Sizes] = {
    "text_encoder": t5.TINY,
    "transformer": {
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 16,
        "axes_dims_rope": (4, 6, 6),
        "approximator_num_channels": 8,
        "approximator_hidden_dim": 32,
        "approximator_layers": 2,
    },
    "vae": TINY_OF_ZIMAGE["vae"],
}
TRUE: Final[Sizes] = {
    "text_encoder": t5.XXL,
    "transformer": MODELS["chroma"][1],
    "vae": TRUE_OF_ZIMAGE["vae"],
}


def pipeline(
    sizes: Sizes = TINY, *, shift: float = 1.0, seed: int = SEED, like: Like = PLAIN
) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone.

    shift: of its noise levels.
    """
    config = t5.config({**sizes["text_encoder"]})
    encoder = made(lambda: T5EncoderModel(config), seed, like)
    transformer = made(lambda: ChromaTransformer2DModel(**sizes["transformer"]), seed + 1, like)
    vae = made(lambda: AutoencoderKL(**sizes["vae"]), seed + 2, like)
    return ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizers.t5(),
        transformer=transformer,
    )


build = writer(pipeline)
