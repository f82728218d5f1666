"""Say what a weight file that is not an adapter is: a checkpoint, or which part of a model."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from catalog.families import Family
from catalog.families.recognition import Shapes
from catalog.weight_files import architectures, control_networks, unet
from catalog.weight_files.autoencoders import OF_VAE, autoencoder
from catalog.weight_files.encoders import kind, text_encoder
from catalog.weight_files.harmless import is_harmless

OF_ENCODERS: Final = (
    *("conditioner.embedders.", "cond_stage_model.", "text_encoders.", "text_encoder."),
    *("text_encoder_2.", "text_encoder_3.", "text_model.", "te1.", "clip_l.", "clip_g.", "t5xxl."),
)
"""What the names of a checkpoint's text encoders begin with."""
UNKNOWN_DENOISER: Final = "denoiser of a model that is not known here"

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def model_kind(shapes: Shapes, metadata: Mapping[str, str] = _NONE) -> str:
    """What the file with these tensors is, a noun phrase without an article; "" if unknown.

    For files that are not adapters: "SD 1.5 checkpoint", "FLUX.1 transformer" …
    """
    # Some begin as the denoiser does that they steer.
    if name := control_networks.kind(shapes):
        return name
    if facts := unet.unet(shapes):
        return f"{facts} {_extent(shapes, 'UNet')}"
    if name := architectures.transformer(shapes):
        return f"{name} {_extent(shapes, 'transformer')}"
    return _part(shapes, metadata)


def lacking_networks(family: Family, names: Iterable[str]) -> tuple[str, ...]:
    """The networks of `Family.lent` that a single file with tensors of these names has not got.
    Stray constants of a network that was left out are no network."""
    there = tuple(name for name in names if not is_harmless(name))
    return tuple(
        network
        for network, prefixes in family.lent.items()
        if not any(name.startswith(prefixes) for name in there)
    )


def _extent(shapes: Shapes, denoiser: str) -> str:
    """ "checkpoint" if there is more than the denoiser in the file, else that word."""
    whole = any(name.startswith((*OF_ENCODERS, *OF_VAE)) for name in shapes)
    return "checkpoint" if whole else denoiser


_PARTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("image embedder (FLUX.1 Redux)", ("redux_up.weight", "redux_down.weight")),
    ("preview decoder (TAESD)", ("decoder.layers.0.weight",)),
    ("preview decoder (TAESD)", ("taesd_decoder.1.weight",)),
    ("preview decoder (TAESD)", ("1.weight", "3.conv.0.weight")),
    ("VAE of Stable Cascade", ("vquantizer.codebook.weight",)),
    ("vision encoder (CLIP)", ("vision_model.embeddings.class_embedding",)),
    ("vision encoder (CLIP)", ("visual.class_embedding",)),
    ("text encoder (T5)", ("encoder.block.0.layer.0.SelfAttention.q.weight",)),
    ("text encoder (T5)", ("enc.blk.0.attn_q.weight",)),
    ("text encoder (CLIP)", ("text_model.embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("transformer.text_model.embeddings.token_embedding.weight",)),
    ("text encoder (CLIP)", ("token_embedding.weight",)),
    ("text encoder (language model)", ("model.embed_tokens.weight",)),
    ("text encoder (language model)", ("model.language_model.embed_tokens.weight",)),
    ("text encoder (language model)", ("embed_tokens.weight",)),
    ("text encoder (language model)", ("token_embd.weight", "blk.0.attn_norm.weight")),
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


def _part(shapes: Shapes, metadata: Mapping[str, str]) -> str:
    vae = autoencoder(shapes)
    if vae and not any(name.startswith(OF_ENCODERS) for name in shapes):
        return vae
    if any(".motion_modules." in name for name in shapes):
        return "motion module (AnimateDiff)"
    if encoder := text_encoder(shapes, metadata):
        return kind(encoder.name)
    name = next((name for name, needed in _PARTS if all(part in shapes for part in needed)), "")
    if name:
        return name
    if any(name.startswith(OF_ENCODERS) for name in shapes):
        return "text encoder"
    return UNKNOWN_DENOISER if _blocks(shapes) else ""


def _blocks(shapes: Shapes) -> bool:
    return any(".transformer_blocks.0." in f".{name}" for name in shapes)
