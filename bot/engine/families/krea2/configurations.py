"""What the configurations of Krea 2's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import Kind, exactly, known, number, one_of, whole
from bot.engine.families import qwen3, qwen_vae
from bot.engine.families.family import VAE
from bot.engine.families.packing import PATCH
from bot.engine.subject import Subject
from catalog.families.krea2.recognition import LAYERS

_AXES: Final = 3

_TRANSFORMER: Final = Kind(
    ("Krea2Transformer2DModel",),
    {
        "in_channels": one_of(qwen_vae.CHANNELS * PATCH**2),
        "num_layers": whole(1, 128),
        "attention_head_dim": whole(1, 1_024),
        "num_attention_heads": whole(1, 256),
        "num_key_value_heads": whole(1, 256),
        "intermediate_size": whole(1, 131_072),
        "timestep_embed_dim": whole(2, 4_096),
        "text_hidden_dim": whole(1, 16_384),
        "num_text_layers": one_of(len(LAYERS)),
        "text_num_attention_heads": whole(1, 256),
        "text_num_key_value_heads": whole(1, 256),
        "text_intermediate_size": whole(1, 65_536),
        "num_layerwise_text_blocks": whole(0, 16),
        "num_refiner_text_blocks": whole(0, 16),
        "axes_dims_rope": exactly(whole(2, 1_024), _AXES),
        "rope_theta": number(1, 1e9),
        "norm_eps": number(0, 1),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {
    "transformer": _TRANSFORMER,
    VAE: qwen_vae.CONFIGURATION,
}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    The text encoder is cut after the last layer that is read.
    """
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    allowed = qwen3.checked_vision(network, config, subject, least=max(LAYERS))
    return {**allowed, "num_hidden_layers": max(LAYERS)}
