"""What the configurations of FLUX.1's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import CLIP_TEXT, TRUTH, Field, Kind, each, known, one_of, whole
from bot.engine.families import t5
from bot.engine.families.family import VAE
from bot.engine.families.flux1.networks import CLIP, DENOISER, T5
from bot.engine.families.kl16 import AUTOENCODER, CHANNELS
from bot.engine.families.packing import PATCH
from bot.engine.subject import Subject

_AXES: Final = each(whole(2, 1_024), 3)
_TOKEN: Final = one_of(CHANNELS * PATCH**2)
TRANSFORMER: Final = Kind(
    ("FluxTransformer2DModel",),
    {
        "patch_size": one_of(1),
        # Those for other tasks have more.
        "in_channels": _TOKEN,
        "out_channels": one_of(CHANNELS * PATCH**2, None),
        "num_layers": whole(1, 64),
        "num_single_layers": whole(1, 128),
        "attention_head_dim": whole(1, 1_024),
        "num_attention_heads": whole(1, 256),
        "joint_attention_dim": whole(1, 65_536),
        "pooled_projection_dim": whole(1, 65_536),
        "guidance_embeds": TRUTH,
        "axes_dims_rope": Field(
            f"a list of 3 of {whole(2, 1_024).allowed}",
            lambda value: isinstance(value, list) and len(value) == 3 and _AXES.fits(value),
        ),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {
    DENOISER: TRANSFORMER,
    CLIP.network: CLIP_TEXT,
    VAE: AUTOENCODER,
}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed."""
    if network == T5:
        return t5.checked(network, config, subject)
    return known(network, config, _OF_NETWORK[network], subject)
