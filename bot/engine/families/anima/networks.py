"""Anima's four networks: their modules, and their names in files. Imports torch."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import AnimaTextConditioner, CosmosTransformer3DModel

from bot.engine.building import without_weights
from bot.engine.environment import Place
from bot.engine.families import qwen3, qwen_vae, renaming
from bot.engine.families.anima.original import CONDITIONER as WITHIN
from bot.engine.families.anima.original import ORIGINALS
from bot.engine.families.anima.residual import widen
from bot.engine.weights import Formats
from catalog.families.anima import ANIMA as FACTS
from catalog.families.files import VAE

DENOISER: Final = "transformer"
CONDITIONER: Final = "text_conditioner"
TEXT_ENCODER: Final = "text_encoder"
NETWORKS: Final = FACTS.networks
_WHOLE: Final = ("model.diffusion_model.", "diffusion_model.", "net.")
"""Before the names of transformer and conditioner, as ComfyUI and the authors write them; other
files have nothing there."""
PREFIXES: Final = {
    DENOISER: _WHOLE,
    CONDITIONER: (*(before + WITHIN for before in _WHOLE), WITHIN),
    **FACTS.lent,
}
"""What the names of a network begin with in a single file of several."""
TOKENIZER: Final = "tokenizer"
PIECES: Final = "t5_tokenizer"
TOKENIZERS: Final = (TOKENIZER, PIECES)

_HELD: Final = ("accum_", "pos_embedder.", "logvar.")
"""What Cosmos' checkpoints have beside the weights: counts, and what is computed anew."""


def dtype_of(network: str, place: Place) -> torch.dtype:
    """See `Family.dtype_of`.

    All were trained in bfloat16. A card without it denoises in float16, which works with what
    `residual` does, and decodes in it (Comfy-Org/ComfyUI comfy/supported_models.py, `Anima`, and
    comfy/sd.py). Nothing is known of the other two, which run once for each prompt, so there it
    may take its time.
    """
    if place.dtype != torch.float16:
        return place.dtype
    if place.automatic and place.computes_in_bfloat16:
        return torch.bfloat16
    return torch.float16 if network in {DENOISER, VAE} else torch.bfloat16


def formats(network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
    """See `Family.formats`."""
    return Formats(dtype, int8=_LARGE.get(network, "") if in_eight_bits else "")


_LARGE: Final = {
    DENOISER: r"transformer_blocks\.\d+\.(?:attn\d|ff)\..+",
    TEXT_ENCODER: r"layers\.\d+\..+",
}


def unread(network: str, name: str) -> bool:
    """See `Family.unread`."""
    own = _below(network, name)
    if network == DENOISER:
        return own.startswith((WITHIN, *_HELD)) or own.endswith("._extra_state")
    return network == TEXT_ENCODER and qwen3.bare(own) == "lm_head.weight"


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
    with without_weights():
        if network == DENOISER:
            # It would make the mask of padding itself, by a library that is not imported here.
            # It is given it as one more channel, which is the same.
            own = {"in_channels": config["in_channels"] + 1, "concat_padding_mask": False}
            transformer = CosmosTransformer3DModel.from_config(
                {**config, **own, "extra_pos_embed_type": None}
            )
            widen(transformer)
            return transformer
        if network == CONDITIONER:
            return _conditioner(config)
        if network == VAE:
            return qwen_vae.build(config)
        return qwen3.build(config, normed=True)


def _conditioner(config: Mapping[str, Any]) -> Any:
    conditioner: Any = AnimaTextConditioner.from_config(dict(config))
    # What embeddings are compared with; none is as wide as both of these encoders.
    conditioner.register_to_config(hidden_size=conditioner.config.target_dim)
    # A plain attribute keeps its dtype, whatever the conditioner computes in.
    frequencies = conditioner.rotary_emb.inv_freq.detach()
    del conditioner.rotary_emb.inv_freq
    conditioner.rotary_emb.inv_freq = frequencies
    return conditioner


def renamed(network: str, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    found = {n: t for n, t in stored.items() if n.startswith(PREFIXES[network])}
    own = {
        _below(network, name): tensor
        for name, tensor in (found or stored).items()
        if not unread(network, name)
    }
    if network == DENOISER:
        return renaming.renamed(ORIGINALS, own)
    if network == VAE:
        return qwen_vae.renamed(own)
    if network == TEXT_ENCODER:
        return {qwen3.bare(name): tensor for name, tensor in own.items()}
    return own


def _below(network: str, name: str) -> str:
    """The name of a tensor in a single file, below its network's."""
    prefix = next((each for each in PREFIXES[network] if name.startswith(each)), "")
    return name.removeprefix(prefix)
