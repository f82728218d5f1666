"""Chroma's three networks: their modules, and their names in files. Imports torch."""

import warnings
from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, ChromaTransformer2DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import autoencoder, flux, renaming, t5
from bot.engine.families.chroma.clamping import clamp
from bot.engine.families.chroma.original import ORIGINALS
from bot.engine.weights import Formats
from catalog.families.chroma import CHROMA as FACTS
from catalog.families.files import TEXT_ENCODER, VAE

DENOISER: Final = "transformer"
NETWORKS: Final = FACTS.networks
PREFIXES: Final = {
    DENOISER: ("model.diffusion_model.", "diffusion_model.", "transformer."),
    **FACTS.lent,
}
"""What the names of a network begin with in a single file of several, as ComfyUI and diffusers
write them. Files of one network have bare names."""
TOKENIZER: Final = "tokenizer"


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


BLOCKS: Final = {DENOISER: flux.BLOCKS, TEXT_ENCODER: t5.BLOCKS}

_LARGE: Final = {DENOISER: rf"{flux.BLOCKS}\..+", TEXT_ENCODER: t5.LARGE}
"""In 16 bits, the blocks are 16.0 of the transformer's 16.6 GiB; the rest is read by time."""


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    return network == TEXT_ENCODER and t5.unread(_below(network, name))


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            with warnings.catch_warnings():
                # diffusers' own module asks for a class by a path that diffusers gives up.
                warnings.simplefilter("ignore", FutureWarning)
                transformer = ChromaTransformer2DModel.from_config(dict(config))
            clamp(transformer)
            return transformer
        return AutoencoderKL.from_config(dict(config)) if network == VAE else t5.build(config)


def renamed(network: str, module: Any, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    found = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    own = {_below(network, name): tensor for name, tensor in (found or stored).items()}
    if network == DENOISER:
        return renaming.renamed(ORIGINALS, own)
    return autoencoder.renamed(module, own) if network == VAE else t5.renamed(own)


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)
