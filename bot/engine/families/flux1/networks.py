"""FLUX.1's four networks: their modules, and their names in files. Imports torch."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import autoencoder, clip, flux, renaming, t5
from bot.engine.families.clip import TextEncoder
from bot.engine.families.flux1.clamping import clamp
from bot.engine.families.flux1.original import ORIGINALS
from bot.engine.weights import Formats
from catalog.families.files import TEXT_ENCODER, VAE
from catalog.families.flux1 import FLUX1 as FACTS
from catalog.families.flux1.facts import TEXT_ENCODER_2

DENOISER: Final = "transformer"
NETWORKS: Final = FACTS.networks
CLIP: Final = TextEncoder(
    network=TEXT_ENCODER,
    tokenizer="tokenizer",
    projected=False,
    prefixes=FACTS.lent[TEXT_ENCODER],
    underscored=("lora_te1", "lora_te"),
    dotted=(
        *("text_encoder", "clip_l", "clip_l.transformer", "text_encoders.clip_l"),
        "text_encoders.clip_l.transformer",
    ),
)
T5: Final = TEXT_ENCODER_2
PIECES: Final = "tokenizer_2"
TOKENIZERS: Final = (CLIP.tokenizer, PIECES)
PREFIXES: Final = {
    DENOISER: ("model.diffusion_model.", "diffusion_model.", "transformer."),
    **FACTS.lent,
}
"""What the names of a network begin with in a single file of several, as ComfyUI and diffusers
write them. Files of one network have bare names."""


def dtype_of(network: str, place: Place) -> torch.dtype:
    """See `Family.dtype_of`.

    All were trained in bfloat16. A card without it denoises in float16, within the limits of
    `clamping`, and CLIP was trained for it; nothing holds T5 and the VAE within them. T5 runs once
    for each prompt, so there it may take its time.
    """
    if place.dtype != torch.float16:
        return place.dtype
    if place.automatic and place.computes_in_bfloat16:
        return torch.bfloat16
    return {T5: torch.bfloat16, VAE: torch.float32}.get(network, torch.float16)


def formats(network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
    """See `Family.formats`."""
    return Formats(dtype, int8=_LARGE.get(network, "") if in_eight_bits else "")


BLOCKS: Final = {
    DENOISER: flux.BLOCKS,
    T5: t5.BLOCKS,
}

_LARGE: Final = {
    DENOISER: rf"{flux.BLOCKS}\..+",
    CLIP.network: clip.LARGE,
    T5: t5.LARGE,
}
"""In 16 bits, the blocks are 22.1 of the transformer's 22.2 GiB. What they read by time is 6 of
these, so it is in 8 bits as well, as in the files that others make."""


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    return network == T5 and t5.unread(_below(network, name))


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            transformer = FluxTransformer2DModel.from_config(dict(config))
            clamp(transformer)
            return transformer
        if network == VAE:
            return AutoencoderKL.from_config(dict(config))
        return t5.build(config) if network == T5 else clip.build(config)


def renamed(
    network: str, module: Any, stored: dict[str, torch.Tensor], parameters: Collection[str]
) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    found = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    own = {_below(network, name): tensor for name, tensor in (found or stored).items()}
    if network == DENOISER:
        return renaming.renamed(ORIGINALS, own)
    if network == VAE:
        return autoencoder.renamed(module, own)
    return t5.renamed(own) if network == T5 else clip.renamed(module, own, parameters)


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)
