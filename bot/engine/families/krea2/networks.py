"""Krea 2's three networks: their modules, and their names in files. Imports torch."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import Krea2Transformer2DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import qwen3, qwen_vae
from bot.engine.families.krea2 import original
from bot.engine.families.krea2.clamping import clamp
from bot.engine.weights import Formats
from catalog.families.files import VAE
from catalog.families.krea2 import KREA2 as FACTS
from catalog.families.krea2.recognition import LAYERS

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


class Folded(torch.nn.Linear):
    """The same, for an input that is not contiguous.

    torch multiplies that as one matrix if the weight could be trained, as diffusers leaves it, and
    in batches if not, which rounds otherwise.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        rows = super().forward(input.reshape(-1, self.in_features))
        return rows.view(*input.shape[:-1], self.out_features)


def dtype_of(network: str, place: Place) -> torch.dtype:
    """See `Family.dtype_of`.

    All were trained in bfloat16. A card without it denoises in float16, within the limits of
    `clamping`, and decodes in it (Comfy-Org/ComfyUI comfy/supported_models.py, `Krea2`, and
    comfy/sd.py). Nothing is known of the text encoder, which runs once for each prompt, so there it
    may take its time.
    """
    if place.dtype != torch.float16:
        return place.dtype
    if place.automatic and place.computes_in_bfloat16:
        return torch.bfloat16
    return torch.bfloat16 if network == TEXT_ENCODER else torch.float16


def formats(network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
    """See `Family.formats`. The transformer's norms are in float32, as in diffusers."""
    return Formats(
        dtype,
        fp32=_NORMS if network == DENOISER else (),
        int8=_LARGE.get(network, "") if in_eight_bits else "",
    )


_NORMS: Final = ("norm", "norm1", "norm2", "norm_q", "norm_k")
BLOCKS: Final = {
    DENOISER: r"transformer_blocks\.\d+|text_fusion\.(?:layerwise|refiner)_blocks\.\d+",
    TEXT_ENCODER: r"layers\.\d+",
}

_LARGE: Final = {
    DENOISER: r"(?:transformer_blocks|text_fusion\.\w+_blocks)\.\d+\.(?:attn|ff)\..+",
    TEXT_ENCODER: r"layers\.\d+\..+",
}
"""In 16 bits, they are 23.3 of the transformer's 23.9 GiB, and 6.6 of the text encoder's 7.3."""


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    own = qwen3.bare(_below(network, name))
    return network == TEXT_ENCODER and (
        own.startswith(qwen3.VISION) or qwen3.unread(own, max(LAYERS))
    )


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            transformer = Krea2Transformer2DModel.from_config(dict(config))
            clamp(transformer)
            transformer.text_fusion.projector.__class__ = Folded
            return transformer
        if network == VAE:
            return qwen_vae.build(config)
        return qwen3.build(config)


def renamed(network: str, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    found = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    own = {_below(network, name): tensor for name, tensor in (found or stored).items()}
    if network == DENOISER:
        return original.renamed(own)
    if network == VAE:
        return qwen_vae.renamed(own)
    return {qwen3.bare(name): tensor for name, tensor in own.items()}


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)
