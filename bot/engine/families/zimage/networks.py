"""Z-Image's three networks: their modules, and their names in files. Imports torch."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import autoencoder, qwen3, renaming
from bot.engine.families.zimage.clamping import clamp
from bot.engine.families.zimage.original import ORIGINALS
from bot.engine.weights import Formats
from catalog.families.files import VAE
from catalog.families.zimage import ZIMAGE as FACTS

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
_LAYERS: Final = 35
"""Of Qwen3-4B's 36, those that are read."""


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
    DENOISER: r"(?:layers|noise_refiner|context_refiner)\.\d+",
    TEXT_ENCODER: r"layers\.\d+",
}

_LARGE: Final = {
    DENOISER: r"(?:layers|noise_refiner|context_refiner)\.\d+\.(?:attention|feed_forward)\..+",
    TEXT_ENCODER: r"layers\.\d+\..+",
}
"""In 16 bits, they are 11.2 of the transformer's 11.5 GiB, and 6.6 of the text encoder's 7.3."""


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    own = _below(network, name)
    if network == DENOISER:
        return own == "norm_final.weight"
    return network == TEXT_ENCODER and qwen3.unread(qwen3.bare(own), _LAYERS)


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            transformer = ZImageTransformer2DModel.from_config(dict(config))
            clamp(transformer)
            return transformer
        if network == VAE:
            return AutoencoderKL.from_config(dict(config))
        return qwen3.build(config)


def renamed(network: str, module: Any, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    found = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    own = {_below(network, name): tensor for name, tensor in (found or stored).items()}
    if network == DENOISER:
        return renaming.renamed(ORIGINALS, own)
    if network == VAE:
        return autoencoder.renamed(module, own)
    return {qwen3.bare(name): tensor for name, tensor in own.items()}


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)
