"""The names that adapter files give to the modules of an SDXL pipeline."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import torch


@dataclass(frozen=True, slots=True)
class Target:
    """A module that an adapter can change.

    part: "unet", "text_encoder" or "text_encoder_2".
    path: of the module in that part, as `get_submodule` takes it.
    shape: of its weight: (out, in) of a Linear, (out, in, height, width) of a Conv2d, (n,) of a
        LayerNorm or GroupNorm.
    has_bias: whether there is a bias to change; it is of shape (out,) or (n,).
    """

    part: str
    path: str
    shape: tuple[int, ...]
    has_bias: bool


_KINDS: Final = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)


def targets(parts: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
    """Every name that a file may use → the module that it means.

    parts: "unet", and "text_encoder" and "text_encoder_2" where there are any. Only shapes are
        read, so they may be on the meta device.

    The writers and what they write: kohya's sd-scripts `lora_unet_`, `lora_te1_`, `lora_te2_` and
    the path with underscores, the UNet's in the names of diffusers or of Stability's code, and
    `oft_unet_` for its OFT; LyCORIS the same through kohya's trainer, and `lycoris_` when it
    wraps a UNet itself, as SimpleTuner does (text encoders wrapped so cannot be told apart by
    name, so these are nobody's); diffusers `unet.`, `text_encoder.`, `text_encoder_2.`; peft the
    bare path; ComfyUI `diffusion_model.` and `text_encoders.`; OneTrainer `unet.` in Stability's
    names, `clip_l.`, `clip_g.` (kohya-ss/sd-scripts networks/lora.py, oft.py;
    KohakuBlueleaf/LyCORIS lycoris/wrapper.py, kohya.py; comfyanonymous/ComfyUI comfy/lora.py;
    Nerogar/OneTrainer modules/util/convert/lora/convert_sdxl_lora.py).
    """
    known: dict[str, Target] = {}
    for part, model in parts.items():
        layers = _layers(model) if part == "unet" else 0
        for path, module in model.named_modules():
            if isinstance(module, _KINDS) and module.weight is not None:
                shape = tuple(module.weight.shape)
                target = Target(part, path, shape, module.bias is not None)
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
    yield from (path, _underscored("lycoris", path), _underscored("oft_unet", path))
    attention, _, projection = path.rpartition(".attn")
    if attention:  # diffusers before 0.22: `attn1.processor.to_out_lora.down`
        number, _, projection = projection.partition(".")
        old = projection.removesuffix(".0")
        yield from (f"{p}{attention}.attn{number}.processor.{old}" for p in ("unet.", ""))


_TEXT_PREFIXES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "text_encoder": (
        ("lora_te1", "lora_te"),
        ("text_encoder", "clip_l", "text_encoders.clip_l.transformer"),
    ),
    "text_encoder_2": (
        ("lora_te2",),
        ("text_encoder_2", "clip_g", "text_encoders.clip_g.transformer"),
    ),
}
"""Of each text encoder: prefixes before underscores, and before dots."""


def _text_names(part: str, path: str) -> Iterator[str]:
    # transformers 5 keeps the layers of a CLIPTextModel at the top, those of a
    # CLIPTextModelWithProjection under text_model. Files say text_model, or what their trainer saw.
    bare = path.removeprefix("text_model.")
    full = bare if bare == "text_projection" else f"text_model.{bare}"
    underscored, dotted = _TEXT_PREFIXES[part]
    for one in {full: 0, bare: 0}:
        yield from (_underscored(prefix, one) for prefix in underscored)
        yield from (f"{prefix}.{one}" for prefix in dotted)
    if ".self_attn." in full:  # diffusers before 0.22: `self_attn.to_q_lora.down`
        module, _, projection = full.rpartition(".")
        yield f"{part}.{module}.to_{projection.removesuffix('_proj')}"


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


_PAIRS: Final = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_up.bias": "up_bias",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_B.bias": "up_bias",
    "lora_magnitude_vector.weight": "magnitude",
    "a1.weight": "a1",
    "a2.weight": "a2",
    "b1.weight": "b1",
    "b2.weight": "b2",
    "bm.weight": "bm",
}
_OLD_TAILS: Final = ("_lora", ".lora", ".lora_linear_layer")
"""What diffusers before 0.22 put between a module and `.down.weight` or `.up.weight`."""
_SINGLES: Final = frozenset(
    (
        *("alpha", "dora_scale", "lora_magnitude_vector", "diff", "diff_b", "w_norm", "b_norm"),
        *("oft_blocks", "rescale", "weight", "on_input"),
        *(f"hada_{x}" for x in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        *(f"lokr_{x}" for x in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    )
)
_SAME: Final = {"dora_scale": "magnitude", "lora_magnitude_vector": "magnitude"}
_PEFT: Final = frozenset(("lora_A", "lora_B", "lora_magnitude_vector"))


def split(tensor: str) -> tuple[str, str] | None:
    """A tensor's name → (name of its module, role of the tensor in it); None when neither is known.

    A role is a word of the format without its spelling: "down" stands for `lora_down.weight`,
    `_lora.down.weight`, `lora_A.weight` and `lora_A.default.weight` alike.
    """
    tensor = tensor.removeprefix("base_model.model.")
    words = tensor.rsplit(".", 3)
    if len(words) == 4 and words[1] in _PEFT and words[2] not in ("weight", "bias"):
        del words[2]  # the adapter's name, which peft puts inside
    role = _PAIRS.get(".".join(words[-2:])) if len(words) > 2 else None
    if role:
        return ".".join(words[:-2]), role
    if len(words) > 2 and words[-1] == "weight" and words[-2] in ("down", "up"):
        module = ".".join(words[:-2])
        for tail in _OLD_TAILS:
            if module.endswith(tail):
                return module.removesuffix(tail), words[-2]
    if words[-1] in _SINGLES and len(words) > 1:
        return ".".join(words[:-1]), _SAME.get(words[-1], words[-1])
    return None
