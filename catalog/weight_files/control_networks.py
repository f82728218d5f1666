"""Which networks beside a denoiser make it follow an image, of those that are told by their names.

Published files are in the names of their authors or of diffusers.
"""

import re
from typing import Final

from catalog.families.flux import FLUX
from catalog.families.recognition import Shapes

CONTROLNET: Final = "ControlNet"
T2I_ADAPTER: Final = "T2I-Adapter"
CONTROL_LORA: Final = "ControlLoRA"
ORIGINAL: Final = "control_model."
"""What the names of a ControlNet begin with in the files of its author; in others, they do not."""
HINTS: Final = ("controlnet_cond_embedding.conv_in.weight", "input_hint_block.0.weight")
"""The layer of a ControlNet that reads the map, as diffusers and as its author call it."""
UNIONS: Final = ("task_embedding", "control_add_embedding.linear_1.weight")
"""What a ControlNet for several types has beside others."""

_FIRST: Final = ("adapter.conv_in.weight", "conv_in.weight")
_BLOCKS: Final = ("adapter.body.0.resnets.0.block1.weight", "body.0.block1.weight")
"""Layers of a T2I-Adapter, as diffusers and as its authors call them."""
_LIGHT: Final = ("\nadapter.body.0.out_conv.", "\nbody.0.out_conv.")
"""A layer of the small kind of them, which has other ones besides."""

_OTHERS: Final = (
    ("\nlora_controlnet\n", CONTROL_LORA),
    ("\nlllite_", "ControlNet-LLLite"),
    ("\ncontrol_all_x_embedder.", f"{CONTROLNET} for Z-Image"),
    ("\ncontrol_layers.", f"{CONTROLNET} for Z-Image"),
    ("\ncontrol_noise_refiner.", f"{CONTROLNET} for Z-Image"),
    ("\ncontrol_to_base_for_conv_in.", "ControlNet-XS"),
    (f"\n{ORIGINAL}enc_zero_convs_out.", "ControlNet-XS"),
    ("\nbrushnet_down_blocks.", "BrushNet"),
    ("\nstyle_embedding\n", f"{T2I_ADAPTER} of style"),
)
_CONTROLS: Final = ("\ncontrolnet_", "\ninput_hint_block.")
_OF_TRANSFORMERS: Final = (
    *("\ncontrolnet_x_embedder.", "\ncontrolnet_blocks.", "\ndouble_blocks."),
    *("\njoint_blocks.", "\ntransformer_blocks."),
)
_WHOSE: Final = (
    ("\npos_embed_input.proj.", "SD 3"),
    ("\ntxt_norm.weight\n", "Qwen-Image"),
    ("\ndouble_blocks.", FLUX),
    ("\ncontrolnet_x_embedder.", FLUX),
)
_OF_VIDEO: Final = ".motion_modules."
_OF_CONTROL_LORA: Final = re.compile(r"\n(?:input_blocks|zero_convs)\..+\.(?:up|down)\n")


def another(shapes: Shapes) -> str:
    """Which network of a kind that cannot be used is in a file, a noun phrase; "" if none is."""
    names = "\n" + "\n".join(shapes) + "\n"
    for mark, name in _OTHERS:
        if mark in names:
            return name
    if any(mark in names for mark in _LIGHT):
        return f"small {T2I_ADAPTER} (light)"
    if not any(mark in names for mark in _CONTROLS):
        return ""
    if _OF_CONTROL_LORA.search(names):
        return CONTROL_LORA
    if _OF_VIDEO in names:
        return f"{CONTROLNET} for video (SparseCtrl)"
    if any(mark in names for mark in _OF_TRANSFORMERS):
        whose = (model for mark, model in _WHOSE if mark in names)
        return f"{CONTROLNET} for {next(whose, 'another kind of model')}"
    return ""


def prefix_of(shapes: Shapes) -> str | None:
    """What the names of the ControlNet in a file begin with; None if there is none."""
    for prefix in ("", ORIGINAL):
        if any(f"{prefix}{hint}" in shapes for hint in HINTS):
            return prefix
    return None


def first_layer(shapes: Shapes) -> tuple[int, ...] | None:
    """The shape of the first layer of the T2I-Adapter in a file; None if there is none."""
    if not any(name in shapes for name in _BLOCKS):
        return None
    found = (shapes[name] for name in _FIRST if name in shapes)
    return next(found, None)


def kind(shapes: Shapes) -> str:
    """What a file is that makes a model follow an image, a noun phrase; "" if it is no such one."""
    if name := another(shapes):
        return name
    if prefix_of(shapes) is not None:
        return CONTROLNET
    return T2I_ADAPTER if first_layer(shapes) else ""
