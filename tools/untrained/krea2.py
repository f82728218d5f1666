"""An untrained Krea 2. Imports torch.

Tiny, its layers have the names of the real one's; there are fewer.
"""

from collections.abc import Mapping
from typing import Any, Final

from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Krea2Pipeline,
    Krea2Transformer2DModel,
)
from transformers import Qwen3VLConfig, Qwen3VLModel

from tools.headers.models import MODELS
from tools.untrained import qwen3, tokenizers
from tools.untrained.filling import PLAIN, Like, made, writer

SEED: Final = 20_261_202
LAYERS: Final = 36
"""Of the text encoder, in every size."""
Sizes = Mapping[str, Mapping[str, Any]]

_ROPE: Final = {"rope_type": "default", "rope_theta": 5_000_000.0, "mrope_interleaved": True}
TINY: Final[Sizes] = {
    "text_encoder": {
        "text_config": {
            **qwen3.TINY,
            "num_hidden_layers": LAYERS,
            "rope_parameters": {**_ROPE, "mrope_section": [2, 1, 1]},
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
    },
    "transformer": {
        "num_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 48,
        "timestep_embed_dim": 16,
        "text_hidden_dim": 16,
        "text_num_attention_heads": 2,
        "text_num_key_value_heads": 2,
        "text_intermediate_size": 32,
        "num_layerwise_text_blocks": 1,
        "num_refiner_text_blocks": 1,
        "axes_dims_rope": (4, 6, 6),
    },
    "vae": {"base_dim": 8},
}
TRUE: Final[Sizes] = {
    "text_encoder": {
        name: value
        for name, value in MODELS["encoder-qwen3-vl-4b"][1].items()
        if name != "tie_word_embeddings"
    },
    "transformer": MODELS["krea2"][1],
    "vae": {},
}


def pipeline(
    sizes: Sizes = TINY, *, distilled: bool = True, seed: int = SEED, like: Like = PLAIN
) -> Any:
    """The stock pipeline. All numbers depend on `sizes`, `seed` and `like` alone."""
    config = Qwen3VLConfig(**sizes["text_encoder"])
    encoder = made(lambda: Qwen3VLModel(config), seed, like)
    transformer = made(lambda: Krea2Transformer2DModel(**sizes["transformer"]), seed + 1, like)
    vae = made(lambda: AutoencoderKLQwenImage(**sizes["vae"]), seed + 2, like)
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=1.15,
        base_image_seq_len=256,
        max_image_seq_len=6_400,
    )
    return Krea2Pipeline(
        scheduler=scheduler,
        vae=vae,
        text_encoder=encoder,
        # With the words of which the template's end has as many tokens as of the real one.
        tokenizer=tokenizers.qwen((*tokenizers.ENDS, "assistant")),
        transformer=transformer,
        is_distilled=distilled,
    )


build = writer(pipeline)
