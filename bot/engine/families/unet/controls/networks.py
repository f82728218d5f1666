"""The networks of ControlNets as their files have them. Imports torch.

Three kinds: ControlNet (arXiv 2302.05543), a trained copy of the UNet's first half that is run at
every step; Union, one that follows several types; and T2I-Adapter (arXiv 2302.08453), a few
convolutions that are run once.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers import ControlNetModel, ControlNetUnionModel, T2IAdapter

from bot.engine.building import without_weights
from bot.engine.families.family import ControlNetwork
from bot.engine.families.unet.adapter_names import Blocks, sgm_path
from bot.engine.families.unet.controls.acting import Adapter, Network
from bot.engine.families.unet.controls.configurations import (
    CONTROLNET,
    HINT,
    UNION,
    checked,
    like,
    told_by,
)
from bot.engine.families.unet.networks import shaped
from bot.engine.subject import Subject
from catalog.weight_files.controlnet import ControlKind

_ORIGINAL: Final = "control_model."
"""What its authors, and ComfyUI after them, put before the names of a ControlNet's tensors."""
_HINTS: Final = re.compile(r"input_hint_block\.(\d{1,2})\.(weight|bias)")
_FIRST: Final = "conv_in.weight"
_ADAPTER: Final = "adapter."
_BODY: Final = re.compile(r"body\.(\d+)\.(block1|block2|in_conv)\.(weight|bias)")
KINDS: Final = {8: "full_adapter", 16: "full_adapter_xl"}
"""Pixels per side that a T2I-Adapter folds into channels → what diffusers calls that kind."""
LEVELS: Final = 4
"""Of every T2I-Adapter."""
BLOCKS_MAX: Final = 8
"""In a level of one; those that are published have two."""


def read(
    stored: Mapping[str, torch.Tensor], config: object, unet: Any, subject: Subject
) -> tuple[ControlNetwork, dict[str, torch.Tensor]]:
    """See `Family.control`."""
    kind = _kind_of(stored)
    if kind is None:
        raise subject.failed("control.foreign", reason="it is no ControlNet and no T2I-Adapter")
    if kind == "t2i_adapter":
        tensors = _adapter_tensors(stored)
        module = _adapter(tensors, unet, subject)
    else:
        tensors = _hints_renamed({n.removeprefix(_ORIGINAL): t for n, t in stored.items()})
        module = _control(kind, tensors, config, unet, subject)
        if _FIRST not in tensors:
            tensors = _renamed(module, tensors)
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    tensors = {name: shaped(tensor, shapes.get(name)) for name, tensor in tensors.items()}
    if kind == "t2i_adapter":
        return Adapter(module), tensors
    return Network(module, union=kind == "union"), tensors


def _control(
    kind: ControlKind,
    tensors: Mapping[str, torch.Tensor],
    config: object,
    unet: Any,
    subject: Subject,
) -> Any:
    """The module of a ControlNet, by its configuration, or else by its tensors and the UNet."""
    union = kind == "union"
    allowed = UNION if union else CONTROLNET
    if config is None:
        config = {**like(unet, allowed), **told_by(tensors, unet, subject)}
    own = checked(config, allowed, subject)
    with without_weights():
        module = (ControlNetUnionModel if union else ControlNetModel).from_config(own)
    _check_widths(module, unet, subject)
    return module


def _kind_of(stored: Mapping[str, torch.Tensor]) -> ControlKind | None:
    names = {name.removeprefix(_ORIGINAL).removeprefix(_ADAPTER) for name in stored}
    if "task_embedding" in names:
        return "union"
    if not names.isdisjoint(("input_hint_block.0.weight", f"{HINT}.conv_in.weight")):
        return "controlnet"
    if "conv_in.weight" in names and any(name.startswith("body.") for name in names):
        return "t2i_adapter"
    return None


def _hints_renamed(own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`own` with the layers that read the map named as in diffusers.

    Their authors count these, and the activations between them.
    """
    numbers = [int(match[1]) for name in own if (match := _HINTS.fullmatch(name))]

    def renamed(name: str) -> str:
        if (match := _HINTS.fullmatch(name)) is None:
            return name
        number = int(match[1])
        layer = {0: "conv_in", max(numbers): "conv_out"}.get(number, f"blocks.{number // 2 - 1}")
        return f"{HINT}.{layer}.{match[2]}"

    return {renamed(name): tensor for name, tensor in own.items()}


def _renamed(module: Any, own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`own`, with the original names, by the parameter names of `module`."""
    blocks = Blocks(module.config.layers_per_block, ())
    found = dict(own)
    for name, _ in module.named_parameters():
        path, _, leaf = name.rpartition(".")
        original = sgm_path(path, blocks)
        if path == "controlnet_mid_block":
            original = "middle_block_out.0"
        elif path.startswith("controlnet_down_blocks."):
            original = f"zero_convs.{path.rpartition('.')[2]}.0"
        if (tensor := own.get(f"{original}.{leaf}")) is not None:
            found[name] = tensor
    return found


def _adapter_tensors(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A T2I-Adapter's tensors as diffusers names them.

    Its authors count the blocks of all levels, of which each has two, and keep the convolution that
    widens a level in its first one.
    """
    if any(name.startswith(_ADAPTER) for name in stored):
        return dict(stored)
    found = {}
    for name, tensor in stored.items():
        new = name
        if match := _BODY.fullmatch(name):
            level, inner = divmod(int(match[1]), 2)
            place = match[2] if match[2] == "in_conv" else f"resnets.{inner}.{match[2]}"
            new = f"body.{level}.{place}.{match[3]}"
        found[_ADAPTER + new] = tensor
    return found


def _adapter(tensors: Mapping[str, torch.Tensor], unet: Any, subject: Subject) -> Any:
    """The module of a T2I-Adapter with these tensors, which say all of its configuration."""
    widths = [int(width) for width in unet.config.block_out_channels]
    # Whose UNet has three levels, SDXL's, has the fourth one for its middle.
    widths, side = (widths, 8) if len(widths) == LEVELS else ([*widths, widths[-1]], 16)
    own = []
    for level in range(LEVELS):
        block = tensors.get(f"{_ADAPTER}body.{level}.resnets.0.block1.weight")
        own.append(None if block is None else block.shape[0])
    squares = {n * side * side: n for n in (1, 3)}
    channels = squares.get(tensors[f"{_ADAPTER}conv_in.weight"].shape[1])
    blocks = {name.split(".")[4] for name in tensors if ".body.0.resnets." in name}
    if own != widths or channels is None or len(blocks) > BLOCKS_MAX:
        raise subject.failed("control.foreign", reason=_OTHER_UNET)
    with without_weights():
        return T2IAdapter(
            in_channels=channels,
            channels=widths,
            num_res_blocks=len(blocks),
            downscale_factor=side,
            adapter_type=KINDS[side],
        )


_OTHER_UNET: Final = "it is for models of another kind"


def _check_widths(module: Any, unet: Any, subject: Subject) -> None:
    """Raise JobFailed unless what a ControlNet adds is as wide as what the UNet has there."""
    widths = [unet.conv_in.out_channels]
    for block in unet.down_blocks:
        widths += [resnet.out_channels for resnet in block.resnets]
        widths += [each.out_channels for each in block.downsamplers or ()]
    own = [block.out_channels for block in module.controlnet_down_blocks]
    same = ("cross_attention_dim", "projection_class_embeddings_input_dim")
    if own != widths or any(module.config[name] != unet.config[name] for name in same):
        raise subject.failed("control.foreign", reason=_OTHER_UNET)
