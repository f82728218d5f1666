"""What the configurations of Chroma's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import Field, Kind, each, known, one_of, whole
from bot.engine.families import t5
from bot.engine.families.family import VAE
from bot.engine.families.kl16 import AUTOENCODER, CHANNELS
from bot.engine.families.packing import PATCH
from bot.engine.subject import Subject

_AXES: Final = 3
_TOKEN: Final = CHANNELS * PATCH**2
_SIDES: Final = each(whole(2, 1_024), _AXES)
_TRANSFORMER: Final = Kind(
    ("ChromaTransformer2DModel",),
    {
        "patch_size": one_of(1),
        "in_channels": one_of(_TOKEN),
        "out_channels": one_of(_TOKEN, None),
        "num_layers": whole(1, 64),
        "num_single_layers": whole(1, 128),
        "attention_head_dim": whole(1, 1_024),
        "num_attention_heads": whole(1, 256),
        "joint_attention_dim": whole(1, 65_536),
        "axes_dims_rope": Field(
            f"a list of {_AXES} of {whole(2, 1_024).allowed}",
            lambda value: isinstance(value, list) and len(value) == _AXES and _SIDES.fits(value),
        ),
        "approximator_num_channels": whole(4, 4_096),
        "approximator_hidden_dim": whole(1, 65_536),
        "approximator_layers": whole(1, 64),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {"transformer": _TRANSFORMER, VAE: AUTOENCODER}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed."""
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    return t5.checked(network, config, subject)
