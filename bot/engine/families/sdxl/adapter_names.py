"""The names that adapter files give to the modules of an SDXL pipeline."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import torch

from bot.engine.patches import Target


def targets(parts: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
    """See `Family.targets`.

    parts: "unet", and "text_encoder" and "text_encoder_2" where there are any. Only shapes are
        read, so they may be on the meta device.

    The names by program: kohya's sd-scripts write `lora_unet_`, `lora_te1_`, `lora_te2_` and the
    path with underscores, the UNet's in the names of diffusers or of Stability's code, and
    `oft_unet_` for OFT; LyCORIS writes the same through kohya's trainer, and `lycoris_` when it
    wraps a UNet itself, as SimpleTuner does; diffusers `unet.`, `text_encoder.`,
    `text_encoder_2.`; peft the bare path; ComfyUI `diffusion_model.` and `text_encoders.`;
    OneTrainer `unet.` in Stability's names, `clip_l.`, `clip_g.`. Bare paths in a text encoder do
    not tell in which; `bot.engine.patches.modules` does by the shapes. Dots and underscores mix:
    diffusers' converter to kohya's names leaves a dot in those of magnitudes
    (kohya-ss/sd-scripts networks/lora.py, oft.py;
    KohakuBlueleaf/LyCORIS lycoris/wrapper.py, kohya.py; comfyanonymous/ComfyUI comfy/lora.py;
    Nerogar/OneTrainer modules/util/convert/lora/convert_sdxl_lora.py).
    """
    known: dict[str, Target] = {}
    for part, model in parts.items():
        layers = _layers(model) if part == "unet" else 0
        for path, module in model.named_modules():
            if target := Target.of(part, path, module):
                names = _unet_names(path, layers) if part == "unet" else _text_names(part, path)
                known.update(dict.fromkeys(names, target))
    return known


def _layers(unet: torch.nn.Module) -> int:
    """`layers_per_block` of the UNet."""
    return sum(1 for _ in unet.get_submodule("down_blocks.0.resnets").children())


def _unet_names(path: str, layers: int) -> Iterator[str]:
    original = sgm_path(path, layers)
    for one in {path: 0, original: 0}:
        yield _underscored("lora_unet", one)
        yield from (f"unet.{one}", f"diffusion_model.{one}", f"model.diffusion_model.{one}")
        yield from (one, _underscored("lycoris", one), _underscored("oft_unet", one))
    attention, _, projection = path.rpartition(".attn")
    if attention:  # diffusers before 0.22: `attn1.processor.to_out_lora.down`
        number, _, projection = projection.partition(".")
        old = projection.removesuffix(".0")
        yield from (f"{p}{attention}.attn{number}.processor.{old}" for p in ("unet.", ""))


_TEXT_PREFIXES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "text_encoder": (
        ("lora_te1", "lora_te"),
        (
            *("text_encoder", "clip_l", "clip_l.transformer", "text_encoders.clip_l"),
            *("text_encoders.clip_l.transformer", "conditioner.embedders.0.transformer"),
        ),
    ),
    "text_encoder_2": (
        ("lora_te2",),
        (
            *("text_encoder_2", "clip_g", "clip_g.transformer", "text_encoders.clip_g"),
            "text_encoders.clip_g.transformer",
        ),
    ),
}
"""Text encoder → its prefixes before paths with underscores, and before paths with dots."""


def _text_names(part: str, path: str) -> Iterator[str]:
    # transformers 5 has the layers of a CLIPTextModel at the top, those of a
    # CLIPTextModelWithProjection under text_model. Files use either, depending on their trainer.
    bare = path.removeprefix("text_model.")
    full = bare if bare == "text_projection" else f"text_model.{bare}"
    underscored, dotted = _TEXT_PREFIXES[part]
    for one in {full: 0, bare: 0}:
        yield from (_underscored(prefix, one) for prefix in underscored)
        yield from (f"{prefix}.{one}" for prefix in dotted)
        module, attention, projection = one.rpartition(".self_attn.")
        if attention:  # diffusers before 0.22: `self_attn.to_q_lora.down`
            yield f"{part}.{module}.self_attn.to_{projection.removesuffix('_proj')}"


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


def sgm_path(path: str, layers: int) -> str:
    """The name in Stability's own code (sgm, LDM) for `path` in a diffusers UNet.

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
