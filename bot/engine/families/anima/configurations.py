"""What the configurations of Anima's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import (
    ABSENT,
    Kind,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families import qwen3, qwen_vae
from bot.engine.families.anima.text import TOKENS
from bot.engine.families.family import VAE
from bot.engine.families.qwen_vae import CHANNELS
from bot.engine.subject import Subject

_CHOICE: Final = one_of(True, False)
_TRANSFORMER: Final = Kind(
    ("CosmosTransformer3DModel",),
    {
        "in_channels": one_of(CHANNELS),
        "out_channels": one_of(CHANNELS),
        "num_attention_heads": whole(1, 256),
        "attention_head_dim": whole(12, 1_024),
        "num_layers": whole(1, 128),
        "mlp_ratio": number(0, 64),
        "text_embed_dim": whole(1, 16_384),
        "adaln_lora_dim": whole(1, 16_384),
        # Positions for 2048 pixels along each side.
        "max_size": one_of([128, 240, 240]),
        "patch_size": one_of([1, 2, 2]),
        "rope_scale": exactly(number(0.01, 100), 3),
        "concat_padding_mask": one_of(True),
        # Cosmos of other sizes and for other tasks, and its control networks.
        "extra_pos_embed_type": ABSENT,
        "use_crossattn_projection": one_of(False),
        **dict.fromkeys(("controlnet_block_every_n", "img_context_dim_in"), ABSENT),
    },
)
_CONDITIONER: Final = Kind(
    ("AnimaTextConditioner",),
    {
        "source_dim": whole(1, 16_384),
        "target_dim": whole(1, 16_384),
        "model_dim": whole(1, 16_384),
        "num_layers": whole(1, 64),
        "num_attention_heads": whole(1, 256),
        "mlp_ratio": number(0, 64),
        "target_vocab_size": whole(1, 1_000_000),
        **dict.fromkeys(("use_self_attention", "use_layer_norm"), _CHOICE),
        "min_sequence_length": one_of(TOKENS),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {
    "transformer": _TRANSFORMER,
    "text_conditioner": _CONDITIONER,
    VAE: qwen_vae.CONFIGURATION,
}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed."""
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    return qwen3.checked(network, config, subject, least=1)
