"""What the configurations of Z-Image's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import (
    ABSENT,
    TRUTH,
    Kind,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families import qwen3
from bot.engine.families.family import VAE
from bot.engine.families.kl16 import AUTOENCODER, CHANNELS
from bot.engine.subject import Subject

_AXES: Final = 3


_TRANSFORMER: Final = Kind(
    ("ZImageTransformer2DModel",),
    {
        "all_patch_size": one_of([2]),
        "all_f_patch_size": one_of([1]),
        "in_channels": one_of(CHANNELS),
        "dim": whole(1, 16_384),
        "n_layers": whole(1, 128),
        "n_refiner_layers": whole(0, 16),
        "n_heads": whole(1, 256),
        "n_kv_heads": whole(1, 256),
        "norm_eps": number(0, 1),
        "qk_norm": TRUTH,
        "cap_feat_dim": whole(1, 16_384),
        # With it, it edits pictures; no such weights were published.
        "siglip_feat_dim": ABSENT,
        "rope_theta": number(1, 1e9),
        "t_scale": number(1, 1e6),
        "axes_dims": exactly(whole(2, 1_024), _AXES),
        "axes_lens": exactly(whole(1, 4_096), _AXES),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {"transformer": _TRANSFORMER, VAE: AUTOENCODER}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    The text encoder is built without its last layer, which nothing reads.
    """
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    allowed = qwen3.checked(network, config, subject, least=2)
    return {**allowed, "num_hidden_layers": allowed["num_hidden_layers"] - 1}
