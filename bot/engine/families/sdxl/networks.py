"""SDXL's text encoders and UNet, as configurations and files name them. Imports torch."""

from typing import Final

from bot.engine.configurations import one_of, whole
from bot.engine.families.clip import TextEncoder
from bot.engine.families.unet.configurations import unet_kind

ENCODERS: Final = (
    TextEncoder(
        network="text_encoder",
        tokenizer="tokenizer",
        projected=False,
        prefixes=("conditioner.embedders.0.", "text_encoders.clip_l.", "text_encoder."),
        underscored=("lora_te1", "lora_te"),
        dotted=(
            *("text_encoder", "clip_l", "clip_l.transformer", "text_encoders.clip_l"),
            *("text_encoders.clip_l.transformer", "conditioner.embedders.0.transformer"),
        ),
    ),
    TextEncoder(
        network="text_encoder_2",
        tokenizer="tokenizer_2",
        projected=True,
        prefixes=("conditioner.embedders.1.", "text_encoders.clip_g.", "text_encoder_2."),
        underscored=("lora_te2",),
        dotted=(
            *("text_encoder_2", "clip_g", "clip_g.transformer", "text_encoders.clip_g"),
            "text_encoders.clip_g.transformer",
        ),
    ),
)

UNET: Final = unet_kind(
    {
        "addition_embed_type": one_of("text_time"),
        "addition_embed_type_num_heads": whole(1, 1_024),
        "addition_time_embed_dim": whole(1, 4_096),
        "projection_class_embeddings_input_dim": whole(1, 32_768),
    }
)
"""It is told the sizes and the pooled prompt."""
