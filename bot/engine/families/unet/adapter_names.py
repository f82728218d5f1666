"""The names that adapter files give to the modules of a UNet and of its text encoders."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from bot.engine.families import clip
from bot.engine.families.clip import TextEncoder
from bot.engine.families.unet.networks import DENOISER
from bot.engine.patches import Target


def targets(
    parts: Mapping[str, torch.nn.Module], encoders: Sequence[TextEncoder]
) -> dict[str, Target]:
    """See `Family.targets`.

    parts: the UNet, and those of the text encoders that are there. Only shapes are read, so they
        may be on the meta device.

    The names by program: kohya's sd-scripts write `lora_unet_`, `lora_te_` or `lora_te1_`,
    `lora_te2_` and the path with underscores, the UNet's in the names of diffusers or of
    Stability's code, and `oft_unet_` for OFT; LyCORIS writes the same through kohya's trainer, and
    `lycoris_` when it wraps a UNet itself, as SimpleTuner does; diffusers `unet.`,
    `text_encoder.`, `text_encoder_2.`; peft the bare path; ComfyUI `diffusion_model.` and
    `text_encoders.`; OneTrainer `unet.` in Stability's names, `clip_l.`, `clip_g.`. Bare paths in
    a text encoder do not tell in which; `bot.engine.patches.modules` does by the shapes. Dots and
    underscores mix: diffusers' converter to kohya's names leaves a dot in those of magnitudes
    (kohya-ss/sd-scripts networks/lora.py, oft.py;
    KohakuBlueleaf/LyCORIS lycoris/wrapper.py, kohya.py; comfyanonymous/ComfyUI comfy/lora.py;
    Nerogar/OneTrainer modules/util/convert/lora/convert_sdxl_lora.py).
    """
    known: dict[str, Target] = {}
    by_network = {encoder.network: encoder for encoder in encoders}
    for part, model in parts.items():
        blocks = Blocks.of(model) if part == DENOISER else None
        for path, module in model.named_modules():
            if target := Target.of(part, path, module):
                names = unet_names(path, blocks) if blocks else clip.names(path, by_network[part])
                known.update(dict.fromkeys(names, target))
    return known


@dataclass(frozen=True, slots=True)
class Blocks:
    """What decides how Stability's code numbers the modules of a UNet.

    layers: `layers_per_block`. attentive: for each block on the way up, whether it has attentions.
    """

    layers: int
    attentive: tuple[bool, ...]

    @classmethod
    def of(cls, unet: torch.nn.Module) -> "Blocks":
        layers = sum(1 for _ in unet.get_submodule("down_blocks.0.resnets").children())
        up = unet.get_submodule("up_blocks").children()
        return cls(layers, tuple(hasattr(block, "attentions") for block in up))


def unet_names(path: str, blocks: Blocks) -> Iterator[str]:
    """The names of the module at `path` in a UNet."""
    original = sgm_path(path, blocks)
    for one in {path: 0, original: 0}:
        yield _underscored("lora_unet", one)
        yield from (f"unet.{one}", f"diffusion_model.{one}", f"model.diffusion_model.{one}")
        yield from (one, _underscored("lycoris", one), _underscored("oft_unet", one))
    attention, _, projection = path.rpartition(".attn")
    if attention:  # diffusers before 0.22: `attn1.processor.to_out_lora.down`
        number, _, projection = projection.partition(".")
        old = projection.removesuffix(".0")
        yield from (f"{p}{attention}.attn{number}.processor.{old}" for p in ("unet.", ""))


def _underscored(prefix: str, path: str) -> str:
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


def sgm_path(path: str, blocks: Blocks) -> str:
    """The name in Stability's own code (LDM, sgm) for `path` in a diffusers UNet."""
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
        return f"input_blocks.{(int(block) + 1) * (blocks.layers + 1)}.0.op"
    if side == "down_blocks":
        place = 1 + int(block) * (blocks.layers + 1) + layer
        return f"input_blocks.{place}.{0 if kind == 'resnet' else 1}.{rest}"
    last = blocks.layers if kind == "upsampler" else layer
    place = int(block) * (blocks.layers + 1) + last
    # An upsampler comes after the resnet, and after the attention where there is one.
    upsampler = 2 if blocks.attentive[int(block)] else 1
    inner = {"resnet": 0, "attention": 1, "upsampler": upsampler}[kind]
    return f"output_blocks.{place}.{inner}.{rest}"
