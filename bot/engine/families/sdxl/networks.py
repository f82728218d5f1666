"""SDXL's four networks: their modules, and their names in Stability's files. Imports torch."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bot.engine.families.family import VAE, PipelineFiles

DENOISER: Final = "unet"
TEXT_ENCODERS: Final = ("text_encoder", "text_encoder_2")
NETWORKS: Final = (DENOISER, *TEXT_ENCODERS, VAE)
PREFIXES: Final = {
    DENOISER: "model.diffusion_model.",
    "text_encoder": "conditioner.embedders.0.",
    "text_encoder_2": "conditioner.embedders.1.",
    VAE: "first_stage_model.",
}
"""What the names of each network begin with in Stability's files."""
TOKENIZERS: Final = ("tokenizer", "tokenizer_2")

FILES: Final = PipelineFiles(
    weights={
        "text_encoder": "model",
        "text_encoder_2": "model",
        "unet": "diffusion_pytorch_model",
        "vae": "diffusion_pytorch_model",
    },
    folders=("text_encoder", "text_encoder_2", "unet", "vae", "scheduler", *TOKENIZERS),
)


def is_unet(config: Mapping[str, Any]) -> bool:
    """Whether a UNet of this configuration takes sizes, and is not for inpainting or editing."""
    return config.get("addition_embed_type") == "text_time" and config.get("in_channels") == 4


def dtype_of(network: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """See `Family.dtype_of`."""
    # SDXL's original VAE overflows in 16 bits; its configuration says so.
    if network == VAE and dtype == torch.float16 and config.get("force_upcast", True):
        return torch.float32
    return dtype


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`."""
    with init_empty_weights(include_buffers=False):
        if network == DENOISER:
            return UNet2DConditionModel.from_config(dict(config))
        if network == VAE:
            return AutoencoderKL.from_config(dict(config))
        kind = CLIPTextModelWithProjection if network == "text_encoder_2" else CLIPTextModel
        return kind(CLIPTextConfig.from_dict(dict(config)))


def renamed(
    network: str, module: Any, stored: dict[str, torch.Tensor], parameters: Collection[str]
) -> dict[str, torch.Tensor]:
    """See `Family.renamed`."""
    if network == DENOISER and any(name.startswith("model.diffusion_model.") for name in stored):
        return dict(convert_ldm_unet_checkpoint(stored, module.config))
    if network == VAE:
        if any(name.endswith("mid.attn_1.q.weight") for name in stored):
            return dict(convert_ldm_vae_checkpoint(stored, module.config))
        return {_modern(name): tensor for name, tensor in stored.items()}
    if network == "text_encoder_2" and "conditioner.embedders.1.model.ln_final.weight" in stored:
        prefix = "conditioner.embedders.1.model."
        stored = convert_open_clip_checkpoint(module, stored, prefix=prefix)
    elif network == "text_encoder" and any(n.startswith("conditioner.") for n in stored):
        stored = convert_ldm_clip_checkpoint(stored)
    # transformers 5 has the first encoder's layers at the top; the files still have text_model.
    top = not any(name.startswith("text_model.") for name in parameters)
    if network == "text_encoder" and top:
        return {name.removeprefix("text_model."): tensor for name, tensor in stored.items()}
    return stored


_OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _modern(name: str) -> str:
    """The name of a VAE's parameter as diffusers ≥ 0.12 writes it."""
    path, _, kind = name.rpartition(".")
    module, _, leaf = path.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[leaf]}.{kind}" if leaf in _OLD_ATTENTION else name
