"""An untrained Anima. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from diffusers import (
    AnimaAutoBlocks,
    AnimaTextConditioner,
    AutoencoderKLQwenImage,
    CosmosTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
)
from torch.nn.functional import interpolate
from transformers import Qwen3Model

from tools.headers.models import MODELS
from tools.untrained import qwen3, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_201
Sizes = Mapping[str, Mapping[str, Any]]

_POSITIONS: Final = {"rope_scale": (1.0, 4.0, 4.0), "extra_pos_embed_type": None}
TINY: Final[Sizes] = {
    "text_encoder": {**qwen3.TINY, "num_hidden_layers": 3},
    "text_conditioner": {
        "source_dim": 16,
        "target_dim": 16,
        "model_dim": 16,
        "num_layers": 2,
        "num_attention_heads": 2,
        "target_vocab_size": 40,
    },
    "transformer": {
        **_POSITIONS,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "num_layers": 2,
        "text_embed_dim": 16,
        "adaln_lora_dim": 8,
    },
    "vae": {"base_dim": 8},
}
TRUE: Final[Sizes] = {
    "text_encoder": qwen3.B06,
    "text_conditioner": {},
    "transformer": {**MODELS["anima"][1], **_POSITIONS},
    "vae": {},
}


def pipeline(sizes: Sizes = TINY, *, seed: int = SEED, like: Like = PLAIN) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone."""
    config = qwen3.config({**sizes["text_encoder"]})
    encoder = made(lambda: Qwen3Model(config), seed, like)
    conditioner = made(lambda: AnimaTextConditioner(**sizes["text_conditioner"]), seed + 1, like)
    transformer = made(lambda: CosmosTransformer3DModel(**sizes["transformer"]), seed + 2, like)
    vae = made(lambda: AutoencoderKLQwenImage(**sizes["vae"]), seed + 3, like)
    pipe = AnimaAutoBlocks().init_pipeline()
    pipe.update_components(
        text_encoder=encoder,
        tokenizer=tokenizers.qwen(),
        t5_tokenizer=tokenizers.t5(),
        text_conditioner=conditioner,
        transformer=transformer,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    return pipe


build = writer(pipeline, overwrite_modular_index=True)
"""A folder of diffusers' modular kind, which names itself in its index."""


def transforms() -> Any:
    """What to set as `transforms` in diffusers' `transformer_cosmos`, so that the stock pipeline
    runs without torchvision.

    The transformer resizes its mask of padding by it. All of that is zero, so any way of resizing
    it is the same.
    """

    def resize(mask: Any, size: list[int], interpolation: str) -> Any:
        return interpolate(mask, size, mode=interpolation)

    return SimpleNamespace(
        functional=SimpleNamespace(resize=resize),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )
