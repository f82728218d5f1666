"""The names that adapter files give to the modules of FLUX.1's networks."""

from collections.abc import Mapping
from typing import Final

import torch

from bot.engine.families import clip
from bot.engine.families.flux import IMAGE, SINGLE, TEXT
from bot.engine.families.flux1.networks import CLIP, DENOISER, T5
from bot.engine.families.flux1.original import ORIGINALS
from bot.engine.patches import AnyTarget, Target
from bot.engine.patches.spelling import Originals, denoiser_names, encoder_names

XLABS: Final[Originals] = {
    "double_blocks.{}.processor.qkv1": IMAGE,
    "double_blocks.{}.processor.qkv2": TEXT,
    "double_blocks.{}.processor.proj1": "transformer_blocks.{}.attn.to_out.0",
    "double_blocks.{}.processor.proj2": "transformer_blocks.{}.attn.to_add_out",
    "single_blocks.{}.processor.qkv": SINGLE,
    "single_blocks.{}.processor.proj": "single_transformer_blocks.{}.proj_out",
}
"""What XLabs' trainer writes, for attentions alone (XLabs-AI/x-flux; huggingface/diffusers
loaders/lora_conversion_utils.py, `_convert_xlabs_flux_lora_to_diffusers`)."""


def targets(networks: Mapping[str, torch.nn.Module]) -> dict[str, AnyTarget]:
    """See `Family.targets`.

    kohya's sd-scripts write `lora_te1_` for CLIP and `lora_te3_` for T5, OneTrainer `lora_te1_` and
    `lora_te2_` (kohya-ss/sd-scripts networks/lora_flux.py; Nerogar/OneTrainer
    modules/util/convert/lora/convert_flux_lora.py), ComfyUI `text_encoders.clip_l.` and
    `text_encoders.t5xxl.`, diffusers `text_encoder.` and `text_encoder_2.`.
    """
    known: dict[str, AnyTarget] = {}
    for path, module in networks[CLIP.network].named_modules():
        if target := Target.of(CLIP.network, path, module):
            known.update(dict.fromkeys(clip.names(path, CLIP), target))
    return {
        **known,
        **encoder_names(T5, networks[T5], "t5xxl", beside=("lora_te3_", "lora_te2_")),
        **denoiser_names(DENOISER, networks[DENOISER], {**ORIGINALS, **XLABS}),
    }
