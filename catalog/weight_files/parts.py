"""Say what a weight file that is not an adapter is: a checkpoint, or which part of a model."""

from typing import Final

from catalog.families.recognition import Shapes
from catalog.weight_files import architectures, unet

VAE: Final = "VAE"

OF_ENCODERS: Final = (
    *("conditioner.embedders.", "cond_stage_model.", "text_encoders.", "text_encoder."),
    *("text_encoder_2.", "text_encoder_3.", "text_model.", "te1.", "clip_l.", "clip_g.", "t5xxl."),
)
OF_VAE: Final = ("first_stage_model.", "vae.")
"""What the names of a checkpoint's other networks begin with."""


def model_kind(shapes: Shapes) -> str:
    """What the file with these tensors is, a noun phrase without an article; "" if unknown.

    For files that are not adapters: "SD 1.5 checkpoint", "Flux (dev) transformer", "VAE" …
    """
    if facts := unet.unet(shapes):
        return f"{facts} {_extent(shapes, 'UNet')}"
    if name := architectures.transformer(shapes):
        return f"{name} {_extent(shapes, 'transformer')}"
    return _part(shapes)


def holds_vae(shapes: Shapes) -> bool:
    """Whether a VAE of as many channels as SDXL's is in the file, alone or with other networks."""
    inputs = (shapes.get(f"{prefix}decoder.conv_in.weight", ()) for prefix in _VAE_PREFIXES)
    return any(len(shape) == 4 and _VAE_OF_CHANNELS.get(shape[1]) == VAE for shape in inputs)


def _extent(shapes: Shapes, denoiser: str) -> str:
    """ "checkpoint" if there is more than the denoiser in the file, else that word."""
    whole = any(name.startswith((*OF_ENCODERS, *OF_VAE)) for name in shapes)
    return "checkpoint" if whole else denoiser


_PARTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("ControlNet", ("controlnet_cond_embedding.conv_in.weight",)),
    ("ControlNet", ("input_hint_block.0.weight",)),
    ("ControlNet", ("control_model.input_hint_block.0.weight",)),
    ("ControlNet", ("zero_convs.0.0.weight",)),
    ("ControlNet", ("controlnet_x_embedder.weight",)),
    ("T2I-Adapter", ("body.0.block1.weight",)),
    ("T2I-Adapter", ("adapter.body.0.resnets.0.block1.weight",)),
    ("preview decoder (TAESD)", ("decoder.layers.0.weight",)),
    ("preview decoder (TAESD)", ("taesd_decoder.1.weight",)),
    ("preview decoder (TAESD)", ("1.weight", "3.conv.0.weight")),
    ("VAE of Stable Cascade", ("vquantizer.codebook.weight",)),
    ("vision encoder (CLIP)", ("vision_model.embeddings.class_embedding",)),
    ("vision encoder (CLIP)", ("visual.class_embedding",)),
    ("text encoder (T5)", ("encoder.block.0.layer.0.SelfAttention.q.weight",)),
    ("text encoder (CLIP)", ("text_model.embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("transformer.text_model.embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("token_embedding.weight",)),
    ("text encoder (language model)", ("model.embed_tokens.weight",)),
    ("text encoder (language model)", ("model.language_model.embed_tokens.weight",)),
    ("text encoder (language model)", ("embed_tokens.weight",)),
    ("upscaler", ("conv_first.weight",)),
    ("upscaler", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")),
    ("upscaler", ("model.0.weight", "model.1.sub.0.weight")),
    ("upscaler", ("body.0.weight", "body.1.weight")),
    ("upscaler", ("params_ema.conv_first.weight",)),
    ("upscaler", ("feats.0.weight",)),
    ("upscaler", ("block_1.c1_r.sk.weight",)),
    ("face restorer", ("encoder.blocks.0.weight", "generator.blocks.0.weight")),
)
"""Parts of a model and its helpers, each with tensors that prove it."""

_VAE_PREFIXES: Final = ("", *OF_VAE, "model.")
_VAE_OF_CHANNELS: Final = {4: VAE, 16: "VAE of Flux or SD 3"}


def _part(shapes: Shapes) -> str:
    for prefix in _VAE_PREFIXES:
        latents = shapes.get(f"{prefix}decoder.conv_in.weight", ())
        if len(latents) == 5:
            return "VAE of a video model"
        if len(latents) == 4 and not any(name.startswith(OF_ENCODERS) for name in shapes):
            return _VAE_OF_CHANNELS.get(latents[1], "VAE of another model")
    if "decoder.conv1.weight" in shapes and "encoder.conv1.weight" in shapes:
        return "VAE of Wan or Qwen-Image"
    if any(".motion_modules." in name for name in shapes):
        return "motion module (AnimateDiff)"
    name = next((name for name, needed in _PARTS if all(part in shapes for part in needed)), "")
    if name:
        return name
    if any(name.startswith(OF_ENCODERS) for name in shapes):
        return "text encoder"
    return "denoiser of a model that is not known here" if _blocks(shapes) else ""


def _blocks(shapes: Shapes) -> bool:
    return any(".transformer_blocks.0." in f".{name}" for name in shapes)
