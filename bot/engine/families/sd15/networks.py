"""The text encoder and the UNet of SD 1.5, as configurations and files name them. Imports torch."""

from typing import Final

from bot.engine.configurations import ABSENT, whole
from bot.engine.families.clip import TextEncoder
from bot.engine.families.unet.configurations import unet_kind

ENCODERS: Final = (
    TextEncoder(
        network="text_encoder",
        tokenizer="tokenizer",
        projected=False,
        prefixes=("cond_stage_model.", "text_encoders.clip_l.", "text_encoder."),
        underscored=("lora_te", "lora_te1"),
        dotted=(
            *("text_encoder", "clip_l", "clip_l.transformer", "text_encoders.clip_l"),
            *("text_encoders.clip_l.transformer", "cond_stage_model.transformer"),
        ),
    ),
)

UNET: Final = unet_kind(
    {
        **dict.fromkeys(
            (
                *("addition_embed_type", "addition_time_embed_dim"),
                "projection_class_embeddings_input_dim",
            ),
            ABSENT,
        ),
        "addition_embed_type_num_heads": whole(1, 1_024),  # a default that newer programs write
    }
)
"""It is told nothing but the prompt."""
