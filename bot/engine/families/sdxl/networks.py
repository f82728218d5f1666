"""SDXL's four networks: their modules, and their names in Stability's files. Imports torch."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bot.engine.families.family import VAE, PipelineFiles
from bot.engine.weights import Formats

DENOISER: Final = "unet"
TEXT_ENCODERS: Final = ("text_encoder", "text_encoder_2")
NETWORKS: Final = (DENOISER, *TEXT_ENCODERS, VAE)
PREFIXES: Final = {
    DENOISER: ("model.diffusion_model.", "diffusion_model.", "unet."),
    VAE: ("first_stage_model.", "vae."),
    "text_encoder": ("conditioner.embedders.0.", "text_encoders.clip_l.", "text_encoder."),
    "text_encoder_2": ("conditioner.embedders.1.", "text_encoders.clip_g.", "text_encoder_2."),
}
"""What the names of a network begin with in a single file: as Stability, ComfyUI, diffusers write
them."""
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


def dtype_of(network: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """See `Family.dtype_of`."""
    # SDXL's original VAE overflows in 16 bits; its configuration says so.
    if network == VAE and dtype == torch.float16 and config.get("force_upcast", True):
        return torch.float32
    return dtype


def formats(network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
    """See `Family.formats`."""
    return Formats(dtype, int8=_INT8.get(network, "") if in_eight_bits else "")


_LAYERS: Final = r"(?:.+\.)?layers\.\d+\..+"
_INT8: Final = {
    DENOISER: r".+\.transformer_blocks\.\d+\..+",
    **dict.fromkeys(TEXT_ENCODERS, _LAYERS),
}
"""Of the UNet's 4.8 GiB in 16 bits, the transformer blocks are 4.1; its convolutions stay as they
are."""


def build(network: str, config: Mapping[str, Any]) -> Any:
    """See `Family.build`. config: from `configurations.checked`."""
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
    own = _of(network, stored)
    if network == DENOISER and "input_blocks.0.0.weight" in own:
        prefix = PREFIXES[DENOISER][0]
        ldm = {prefix + name: tensor for name, tensor in own.items()}
        own = dict(convert_ldm_unet_checkpoint(ldm, module.config))
    elif network == VAE:
        if any(name.startswith("decoder.mid.block_1.") for name in own):
            own = dict(convert_ldm_vae_checkpoint(own, module.config))
        own = {_modern(name): tensor for name, tensor in own.items()}
    elif network in TEXT_ENCODERS:
        own = _text_encoder(module, own, parameters)
    return {name: _shaped(tensor, name, module, parameters) for name, tensor in own.items()}


def _of(network: str, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of `network` in a single file, by their names below it; all of another file."""
    for prefix in PREFIXES[network]:
        own = {n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)}
        if own:
            return own
    return stored


def _text_encoder(
    module: Any, stored: dict[str, torch.Tensor], parameters: Collection[str]
) -> dict[str, torch.Tensor]:
    own = {_unwrapped(name): tensor for name, tensor in stored.items()}
    if any(name.startswith("transformer.resblocks.") for name in own):
        projection = own.get(_PROJECTION)
        own = convert_open_clip_checkpoint(module, own, prefix="")
        if projection is not None:
            # Converters that come from transformers leave it as it is there, not transposed.
            own.setdefault(_PROJECTION, projection)
    # transformers 5 has the first encoder's layers at the top; the files still have text_model.
    top = not any(name.startswith(_INNER) for name in parameters)
    bare = {name.removeprefix(_INNER): tensor for name, tensor in own.items()}
    if top:
        return bare
    return {n if n == _PROJECTION else _INNER + n: tensor for n, tensor in bare.items()}


_PROJECTION: Final = "text_projection.weight"
_INNER: Final = "text_model."


def _unwrapped(name: str) -> str:
    """The name of a text encoder's parameter without the modules that programs put around it."""
    name = name.removeprefix("model.")
    inner = name.removeprefix("transformer.")
    return name if inner.startswith("resblocks.") else inner


def _shaped(
    tensor: torch.Tensor, name: str, module: Any, parameters: Collection[str]
) -> torch.Tensor:
    """`tensor` as the linear layer that it is, if it was written as a 1×1 convolution, or back."""
    if name not in parameters:
        return tensor
    wanted = module.get_parameter(name).shape
    if tensor.shape != wanted and _core(tensor.shape) == _core(wanted):
        return tensor.reshape(wanted)
    return tensor


def _core(shape: torch.Size) -> tuple[int, ...]:
    """A weight's shape; that of a 1×1 convolution as a linear layer's."""
    return tuple(shape[:2]) if len(shape) in {3, 4} and set(shape[2:]) == {1} else tuple(shape)


_OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _modern(name: str) -> str:
    """The name of a VAE's parameter as diffusers ≥ 0.12 writes it."""
    path, _, kind = name.rpartition(".")
    module, _, leaf = path.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[leaf]}.{kind}" if leaf in _OLD_ATTENTION else name
