"""The names that LoRA files give to the modules of an SDXL pipeline."""

import re
from dataclasses import dataclass
from typing import Any, Final

import torch

PARTS: Final = ("unet", "text_encoder", "text_encoder_2")


@dataclass(frozen=True, slots=True)
class Target:
    """A module that an adapter can change.

    part: one of PARTS. path: of the module in that part, as `get_submodule` takes it.
    shape: of its weight: (out, in) of a Linear, (out, in, height, width) of a Conv2d.
    """

    part: str
    path: str
    shape: tuple[int, ...]


def targets(pipeline: Any) -> dict[str, Target]:
    """Every name that a file may use → what it means. No adapter may be applied to `pipeline`."""
    known: dict[str, Target] = {}
    for part in PARTS:
        model = getattr(pipeline, part)
        for path, module in model.named_modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                target = Target(part, path, tuple(module.weight.shape))
                names = (
                    _unet_names(path, model.config.layers_per_block)
                    if part == "unet"
                    else _text_names(part, path)
                )
                for name in names:
                    known[name] = target
    return known


def _unet_names(path: str, layers: int) -> list[str]:
    names = [f"unet.{path}", _kohya("lora_unet", path), _kohya("lora_unet", sgm_path(path, layers))]
    attention, _, projection = path.rpartition(".attn")
    if attention:  # diffusers before 0.22: `attn1.processor.to_out_lora.down`
        number, _, projection = projection.partition(".")
        old = projection.removesuffix(".0")
        names += [f"{prefix}{attention}.attn{number}.processor.{old}" for prefix in ("unet.", "")]
    return names


def _text_names(part: str, path: str) -> list[str]:
    # transformers 5 keeps the first encoder's layers at the top; the files still say text_model.
    full = path if path.startswith("text_") else f"text_model.{path}"
    numbers = ("te1", "te") if part == "text_encoder" else ("te2",)
    names = [f"{part}.{full}", *(_kohya(f"lora_{number}", full) for number in numbers)]
    if ".self_attn." in full:  # diffusers before 0.22: `self_attn.to_q_lora.down`
        module, _, projection = full.rpartition(".")
        names.append(f"{part}.{module}.to_{projection.removesuffix('_proj')}")
    return names


def _kohya(prefix: str, path: str) -> str:
    return f"{prefix}_{path.replace('.', '_')}"


_OUTER: Final = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESNET: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_BLOCK: Final = re.compile(r"(down_blocks|mid_block|up_blocks)\.(?:(\d+)\.)?(\w+?)s\.(\d+)\.(.+)")


def sgm_path(path: str, layers: int) -> str:
    """`path` of a diffusers UNet module in the names of Stability's own code (sgm, LDM).

    layers: `layers_per_block` of the UNet.
    """
    match = _BLOCK.fullmatch(path)
    if not match:
        return _OUTER.get(path, path)
    side, block, kind, index, rest = match.groups()
    layer = int(index)
    if kind == "resnet":
        rest = _RESNET[rest]
    if side == "mid_block":
        place = 2 * layer if kind == "resnet" else 1
        return f"middle_block.{place}.{rest}"
    if kind == "downsampler":
        return f"input_blocks.{(int(block) + 1) * (layers + 1)}.0.op"
    if side == "down_blocks":
        place = 1 + int(block) * (layers + 1) + layer
        return f"input_blocks.{place}.{0 if kind == 'resnet' else 1}.{rest}"
    place = int(block) * (layers + 1) + (layers if kind == "upsampler" else layer)
    inner = {"resnet": 0, "attention": 1, "upsampler": 2}[kind]
    return f"output_blocks.{place}.{inner}.{rest}"
