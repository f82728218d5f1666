"""ControlNets of every kind for the tiny models, with random weights, as files have them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, ControlNetUnionModel, T2IAdapter

from catalog import ControlNetEntry, ControlNets, DepthEntry
from tests.engine.factories import save

TYPES = 8
"""How many a tiny Union follows, as xinsir's ProMax."""


def offered(paths: Mapping[str, Path], depth: DepthEntry | None = None) -> ControlNets:
    """ControlNets by key."""
    entries = {
        key: ControlNetEntry(key=key, name=key, path=str(path)) for key, path in paths.items()
    }
    return ControlNets(entries, depth=depth)


SMALLER: dict[str, dict[str, Any]] = {
    "small": {
        "down_block_types": ["DownBlock2D"] * 3,
        "mid_block_type": "UNetMidBlock2D",
    },
    "mid": {"transformer_layers_per_block": [0, 0, 1]},
}
"""What those of diffusers that have fewer layers than their UNet say of that."""


def network(unet: Any, kind: str, seed: int = 3, **smaller: Any) -> Any:
    """A network of that kind for `unet`: controlnet, union or t2i_adapter."""
    if kind == "controlnet":
        made: Any = ControlNetModel.from_unet(
            unet, conditioning_embedding_out_channels=(8, 12, 16, 16), load_weights_from_unet=False
        )
        if smaller:
            made = ControlNetModel.from_config({**made.config, **smaller})
    elif kind == "union":
        own = {
            name: unet.config[name]
            for name in (
                *("down_block_types", "block_out_channels", "layers_per_block"),
                *("transformer_layers_per_block", "attention_head_dim", "norm_num_groups"),
                *("cross_attention_dim", "use_linear_projection", "addition_embed_type"),
                *("addition_time_embed_dim", "projection_class_embeddings_input_dim"),
            )
        }
        first = unet.config.block_out_channels[0]
        made = ControlNetUnionModel(
            **own,
            conditioning_embedding_out_channels=(8, 12, 16, 16),
            num_control_type=TYPES,
            num_trans_channel=first,
            num_trans_head=8,
            num_proj_channel=first,
        )
    else:
        widths = list(unet.config.block_out_channels)
        made = T2IAdapter(
            channels=widths + widths[-1:] * (4 - len(widths)),
            num_res_blocks=2,
            downscale_factor=16 if len(widths) == 3 else 8,
            adapter_type="full_adapter_xl" if len(widths) == 3 else "full_adapter",
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(made.named_parameters()):
            if parameter.ndim == 1:
                norm = "norm" in name or ".ln_" in name
                parameter.fill_(1.0 if norm and name.endswith("weight") else 0.0)
            else:
                fan_in = parameter[0].numel()
                drawn = torch.rand(parameter.shape, generator=generator) * 2 - 1
                parameter.copy_(drawn * (3.0 / fan_in) ** 0.5)
    return made.eval().requires_grad_(False)


def write(folder: Path, made: Any) -> Path:
    """As diffusers writes it."""
    made.save_pretrained(folder, safe_serialization=True)
    return folder


def write_original(file: Path, made: Any) -> Path:
    """A ControlNet or T2I-Adapter as one file with the names that its authors gave it."""
    tensors = made.state_dict()
    if isinstance(made, T2IAdapter):
        return save(file, {_adapter_name(name): tensor for name, tensor in tensors.items()})
    return save(file, original(tensors, made.config))


def _adapter_name(name: str) -> str:
    parts = name.removeprefix("adapter.").split(".")
    if parts[0] != "body":
        return ".".join(parts)
    level = int(parts[1])
    if parts[2] == "in_conv":
        return f"body.{2 * level}.in_conv.{parts[-1]}"
    return f"body.{2 * level + int(parts[3])}.{parts[4]}.{parts[-1]}"


_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTER = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
    "controlnet_cond_embedding.conv_out": "input_hint_block.14",
}


def original(tensors: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """The tensors by their names in lllyasviel's ControlNet."""
    found = {}
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        found[f"control_model.{_path(path, config.layers_per_block)}.{leaf}"] = tensor
    return found


def _path(path: str, layers: int) -> str:
    if path in _OUTER:
        return _OUTER[path]
    first, *rest = path.split(".")
    if first == "controlnet_down_blocks":
        return f"zero_convs.{rest[0]}.0"
    if first == "controlnet_cond_embedding":
        return f"input_hint_block.{2 * int(rest[1]) + 2}"
    if first == "mid_block":
        kind, number, *inner = rest
        if kind == "attentions":
            return ".".join(["middle_block.1", *inner])
        return f"middle_block.{2 * int(number)}.{_RESNET[inner[0]]}"
    block, kind, number, *inner = rest
    if kind == "downsamplers":
        return f"input_blocks.{(int(block) + 1) * (layers + 1)}.0.op"
    place = 1 + int(block) * (layers + 1) + int(number)
    if kind == "resnets":
        return f"input_blocks.{place}.0.{_RESNET[inner[0]]}"
    return ".".join([f"input_blocks.{place}.1", *inner])


def without_config(folder: Path, target: Path) -> Path:
    """The weights of a folder as a file that has nothing beside it."""
    from safetensors.torch import load_file

    return save(target, load_file(folder / "diffusion_pytorch_model.safetensors"))


def with_config(folder: Path, **changes: object) -> Path:
    """The same folder with a configuration that says something else."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")
    return folder
