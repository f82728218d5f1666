"""How adapter files spell the modules of diffusion transformers and of their text encoders.

A family has a table of its authors' own names; the rest is the same for all: each program has its
prefix, and puts dots or underscores behind it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch

from bot.engine.patches.names import AnyTarget, Fused, Target


@dataclass(frozen=True, slots=True)
class Share:
    """One of `of` equal shares of the rows of a module, counted from 0.

    path: as in `Originals`. high: how many times as many rows it has as the lowest of those beside
    it, where they are not alike.
    """

    path: str
    number: int = 0
    of: int = 1
    high: int = 1


Originals: TypeAlias = Mapping[str, str | tuple[str | Share, ...]]
"""Names of modules in the authors' own files → the paths of the modules in diffusers that they are.

Several where the authors have one matrix, in the order of its rows; with `Share` where not all rows
of a module are meant, or in another order. `{}` stands for the number of a layer, and a name for as
many as the network has.

"double_blocks.{}.img_attn.qkv": tuple(f"transformer_blocks.{{}}.attn.to_{x}" for x in "qkv")
"final_layer.adaLN_modulation.1": (Share("norm_out.linear", 1, 2), Share("norm_out.linear", 0, 2))
"""


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What is put before a path; after `underscored`, its dots are underscores."""

    dotted: tuple[str, ...]
    underscored: tuple[str, ...] = ()

    def before(self, path: str) -> Iterator[str]:
        """All spellings of a path."""
        yield from (f"{prefix}{path}" for prefix in self.dotted)
        flat = path.replace(".", "_")
        yield from (f"{prefix}{flat}" for prefix in self.underscored)


OF_DENOISER: Final = Prefixes(
    dotted=("", "transformer.", "diffusion_model.", "model.diffusion_model.", "unet."),
    underscored=("lora_unet_", "lora_unet__", "lora_transformer_", "lycoris_", "oft_unet_"),
)
"""By program: diffusers and OneTrainer write `transformer.`; ai-toolkit, diffusion-pipe and ComfyUI
`diffusion_model.`; peft and DiffSynth-Studio nothing, once `base_model.model.` is taken off, which
may also follow `transformer.`; kohya's sd-scripts and musubi-tuner `lora_unet_`, of which files
with a second underscore circulate (invoke-ai/InvokeAI invokeai/backend/patches/lora_conversions/
z_image_lora_conversion_utils.py), and `oft_unet_` for OFT; OneTrainer before PR 1563
`lora_transformer_`; LyCORIS `lycoris_` when it wraps a transformer itself, as SimpleTuner does.
All write either diffusers' paths or the authors' names (huggingface/diffusers
loaders/lora_conversion_utils.py; Comfy-Org/ComfyUI comfy/lora.py; Nerogar/OneTrainer
modules/util/convert/lora)."""

_FUSED_IN_DIFFUSERS: Final = {
    "to_qkv": ("to_q", "to_k", "to_v"),
    "to_kv": ("to_k", "to_v"),
    "to_added_qkv": ("add_q_proj", "add_k_proj", "add_v_proj"),
}
"""What diffusers calls the projections of an attention once it has fused them, as SimpleTuner does
on request (huggingface/diffusers models/attention.py, `fuse_projections`)."""
_CUT_OFF: Final = "sformer_blocks."
"""What some exports for FLUX.2 made of `transformer_blocks.`; diffusers reads it too."""


def denoiser_names(
    part: str, network: torch.nn.Module, originals: Originals, *, own: Prefixes = OF_DENOISER
) -> dict[str, AnyTarget]:
    """Every name that an adapter file may use for a module of a transformer → that module.

    network: only shapes are read, so it may be on the meta device. originals: those of which
    `network` lacks a module are left out. own: what stands before diffusers' own paths, for a
    network that is a part of the transformer in the authors' files.
    """
    modules = {
        path: target
        for path, module in network.named_modules()
        if (target := Target.of(part, path, module))
    }
    known: dict[str, AnyTarget] = {}
    for path, target in modules.items():
        known.update(dict.fromkeys(own.before(path), target))
        if path.startswith(f"tran{_CUT_OFF}"):
            known.update(dict.fromkeys(own.before(path.removeprefix("tran")), target))
    for path, fused in _fused_in_diffusers(modules):
        known.update(dict.fromkeys(own.before(path), fused))
    for name, of_model in originals.items():
        shares = shares_of(of_model)
        for numbers in _layers(shares[0].path, modules):
            found = [_share(share, numbers, modules) for share in shares]
            pieces = tuple(piece for piece in found if piece)
            if len(pieces) == len(found):
                meant = pieces[0] if len(pieces) == 1 else Fused(pieces)
                known.update(dict.fromkeys(OF_DENOISER.before(name.format(*numbers)), meant))
    return known


def encoder_names(part: str, network: torch.nn.Module, comfy: str) -> dict[str, AnyTarget]:
    """Every name that an adapter file may use for a module of the only text encoder.

    network: a language model of transformers, with or without its head. comfy: what ComfyUI calls
    the encoder, as in `text_encoders.qwen3_06b.transformer.model.layers.0.…`.
    kohya's sd-scripts and OneTrainer write `lora_te_` or `lora_te1_`, diffusers `text_encoder.`.
    """
    prefixes = Prefixes(
        dotted=(
            *(f"{part}.", f"text_encoders.{comfy}.", f"text_encoders.{comfy}.transformer."),
            "text_encoders.transformer.",  # as ComfyUI also reads it
        ),
        underscored=("lora_te_", "lora_te1_"),
    )
    known: dict[str, AnyTarget] = {}
    for path, module in network.named_modules():
        if target := Target.of(part, path, module):
            bare = path.removeprefix("model.")
            for spelled in (bare, f"model.{bare}"):
                known.update(dict.fromkeys(prefixes.before(spelled), target))
            known[f"{part}.{path}"] = target
    return known


def _fused_in_diffusers(modules: Mapping[str, Target]) -> Iterator[tuple[str, Fused]]:
    for attention in dict.fromkeys(path.rpartition(".")[0] for path in modules):
        for name, parts in _FUSED_IN_DIFFUSERS.items():
            pieces = [modules.get(f"{attention}.{part}") for part in parts]
            there = tuple(piece for piece in pieces if piece)
            alike = len({piece.shape[1:] for piece in there}) == 1
            if alike and len(there) == len(parts) and f"{attention}.{name}" not in modules:
                yield f"{attention}.{name}", Fused(there)


def shares_of(of_model: str | tuple[str | Share, ...]) -> tuple[Share, ...]:
    """What an authors' module has the rows of, in its order, one after the other."""
    those = (of_model,) if isinstance(of_model, str) else of_model
    return tuple(Share(each) if isinstance(each, str) else each for each in those)


def _layers(path: str, paths: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The numbers that `{}` stands for in those of `paths` that are like `path`."""
    pattern = re.compile(re.escape(path).replace(r"\{\}", r"(\d+)"))
    yield from (match.groups() for each in paths if (match := pattern.fullmatch(each)))


def _share(share: Share, numbers: tuple[str, ...], modules: Mapping[str, Target]) -> Target | None:
    target = modules.get(share.path.format(*numbers))
    if target is None or share.of == 1:
        return target
    height, rest = divmod(target.shape[0], share.of)
    if rest:
        raise ValueError(f"{target.path} has {target.shape[0]} rows, which {share.of} cannot share")
    return target.cut(share.number * height, (share.number + 1) * height)
