"""The networks around a UNet: their modules, and their names in single files. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

from bot.engine.building import without_weights
from bot.engine.families import autoencoder, clip
from bot.engine.families.clip import TextEncoder
from bot.engine.weights import Formats
from catalog.families import VAE

DENOISER: Final = "unet"
_OF_OTHERS: Final = {
    DENOISER: ("model.diffusion_model.", "diffusion_model.", "unet."),
    VAE: ("first_stage_model.", "vae."),
}
"""What the names of a network begin with in a single file: as Stability, ComfyUI, diffusers write
them."""


def formats(
    network: str, encoders: Sequence[TextEncoder], dtype: torch.dtype, *, in_eight_bits: bool
) -> Formats:
    """See `Family.formats`."""
    large = {DENOISER: _BLOCKS, **{encoder.network: clip.LARGE for encoder in encoders}}
    return Formats(dtype, int8=large.get(network, "") if in_eight_bits else "")


_BLOCKS: Final = r".+\.transformer_blocks\.\d+\..+"
"""Of the 4.8 GiB of SDXL's UNet in 16 bits, they are 4.1; its convolutions stay as they are."""


def prefixes(network: str, encoders: Sequence[TextEncoder]) -> tuple[str, ...]:
    """See `Family.prefixes`."""
    return _OF_OTHERS.get(network) or _encoder(network, encoders).prefixes


def build(network: str, config: Mapping[str, Any], encoders: Sequence[TextEncoder]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            return UNet2DConditionModel.from_config(dict(config))
        if network == VAE:
            return AutoencoderKL.from_config(dict(config))
        return clip.build(config, projected=_encoder(network, encoders).projected)


def renamed(
    network: str,
    module: Any,
    stored: dict[str, torch.Tensor],
    parameters: Collection[str],
    encoders: Sequence[TextEncoder],
) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    own = _of(prefixes(network, encoders), stored)
    if network == DENOISER:
        if "input_blocks.0.0.weight" in own:
            prefix = _OF_OTHERS[DENOISER][0]  # the one that the converter knows
            ldm = {prefix + name: tensor for name, tensor in own.items()}
            own = dict(convert_ldm_unet_checkpoint(ldm, module.config))
    elif network == VAE:
        own = autoencoder.renamed(module, own)
    else:
        own = clip.renamed(module, own, parameters)
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    return {name: shaped(tensor, shapes.get(name)) for name, tensor in own.items()}


def _encoder(network: str, encoders: Sequence[TextEncoder]) -> TextEncoder:
    return next(encoder for encoder in encoders if encoder.network == network)


def _of(known: Sequence[str], stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a network in a single file, by their names below it; all of another file.

    known: what its names may begin with.
    """
    for prefix in known:
        own = {n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)}
        if own:
            return own
    return stored


def shaped(tensor: torch.Tensor, wanted: torch.Size | None) -> torch.Tensor:
    """`tensor` as the linear layer that it is, if it was written as a 1×1 convolution, or back.

    wanted: the shape of the parameter; None if the network has none of that name.
    """
    if wanted is None or tensor.shape == wanted or _core(tensor.shape) != _core(wanted):
        return tensor
    return tensor.reshape(wanted)


def _core(shape: torch.Size) -> tuple[int, ...]:
    """A weight's shape; that of a 1×1 convolution as a linear layer's."""
    return tuple(shape[:2]) if len(shape) in {3, 4} and set(shape[2:]) == {1} else tuple(shape)
