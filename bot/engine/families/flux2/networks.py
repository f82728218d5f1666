"""FLUX.2 klein's three networks: their modules, and their names in files. Imports torch."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import autoencoder, qwen3, renaming
from bot.engine.families.flux2.clamping import clamp
from bot.engine.families.flux2.original import ORIGINALS
from bot.engine.families.flux2.text import LAYERS
from bot.engine.weights import Formats
from catalog.families.files import VAE
from catalog.families.flux2 import FLUX2 as FACTS

DENOISER: Final = "transformer"
TEXT_ENCODER: Final = "text_encoder"
NETWORKS: Final = FACTS.networks
PREFIXES: Final = {
    DENOISER: ("model.diffusion_model.", "diffusion_model.", "transformer."),
    **FACTS.lent,
}
"""What the names of a network begin with in a single file of several, as ComfyUI and diffusers
write them. Files of one network have bare names, a text encoder's `model.` as in transformers."""
TOKENIZER: Final = "tokenizer"


class Statistics(torch.nn.Module):
    """The mean and variance that a batch norm has collected, as parameters.

    Only these are read of it, and they are weights of the VAE like any others.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.running_mean = torch.nn.Parameter(torch.empty(channels))
        self.running_var = torch.nn.Parameter(torch.empty(channels))


def dtype_of(network: str, place: Place) -> torch.dtype:
    """See `Family.dtype_of`.

    All were trained in bfloat16. A card without it denoises in float16, within the limits of
    `clamping`; nothing does so for the text encoder and the VAE. The text encoder runs once for
    each prompt, so there it may take its time.
    """
    if place.dtype != torch.float16:
        return place.dtype
    if place.automatic and place.computes_in_bfloat16:
        return torch.bfloat16
    return {DENOISER: torch.float16, TEXT_ENCODER: torch.bfloat16, VAE: torch.float32}[network]


def formats(network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
    """See `Family.formats`."""
    return Formats(dtype, int8=_LARGE.get(network, "") if in_eight_bits else "")


BLOCKS: Final = {
    DENOISER: r"(?:single_)?transformer_blocks\.\d+",
    TEXT_ENCODER: r"layers\.\d+",
}

_LARGE: Final = {
    DENOISER: r"(?:single_)?transformer_blocks\.\d+\..+",
    TEXT_ENCODER: r"layers\.\d+\..+",
}
"""In 16 bits, the blocks are 6.9 of the transformer's 7.2 GiB, and the layers 5.1 of the text
encoder's 5.8."""


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    if network == VAE:
        return name.endswith("bn.num_batches_tracked")
    if network == TEXT_ENCODER:
        return qwen3.unread(qwen3.bare(_below(network, name)), max(LAYERS))
    return False


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            transformer = Flux2Transformer2DModel.from_config(dict(config))
            clamp(transformer)
            return transformer
        if network == VAE:
            vae = AutoencoderKLFlux2.from_config(dict(config))
            vae.bn = Statistics(vae.bn.num_features)
            return vae
        return qwen3.build(config)


def renamed(network: str, module: Any, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    own = _of(network, stored)
    if network == DENOISER:
        return renaming.renamed(ORIGINALS, own)
    if network == VAE:
        return _vae(module, own)
    return {qwen3.bare(name): tensor for name, tensor in own.items()}


def _of(network: str, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `network` in a single file, by their names below it; all of another file."""
    own = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    return {_below(network, name): tensor for name, tensor in (own or stored).items()}


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)


_CONVOLUTIONS: Final = ("encoder.quant_conv.", "decoder.post_quant_conv.")
"""Where Black Forest Labs' VAE has what diffusers has at the top."""


def _vae(module: Any, stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    ldm = {
        name.partition(".")[2] if name.startswith(_CONVOLUTIONS) else name: tensor
        for name, tensor in stored.items()
    }
    statistics = {name: tensor for name, tensor in ldm.items() if name.startswith("bn.")}
    return {**autoencoder.renamed(module, ldm), **statistics}
