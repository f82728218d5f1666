"""Depth Anything of a tiny model's size, in transformers' layout, with the fields of the published
configuration."""

import json
from pathlib import Path
from typing import Any

from tests.engine.factories import save

SIDE, PATCH = 56, 14
ENCODER: dict[str, Any] = {
    "architectures": ["Dinov2Model"],
    "hidden_size": 24,
    "image_size": SIDE,
    "model_type": "dinov2",
    "num_attention_heads": 2,
    "num_hidden_layers": 4,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "out_indices": [1, 2, 3, 4],
    "patch_size": PATCH,
    "reshape_hidden_states": False,
    "torch_dtype": "float32",
}
MODEL: dict[str, Any] = {
    "architectures": ["DepthAnythingForDepthEstimation"],
    "backbone": None,
    "backbone_kwargs": None,
    "depth_estimation_type": "relative",
    "fusion_hidden_size": 16,
    "head_hidden_size": 8,
    "head_in_index": -1,
    "initializer_range": 0.02,
    "max_depth": None,
    "model_type": "depth_anything",
    "neck_hidden_sizes": [8, 12, 16, 24],
    "patch_size": PATCH,
    "reassemble_factors": [4, 2, 1, 0.5],
    "reassemble_hidden_size": 24,
    "torch_dtype": "float32",
    "transformers_version": None,
    "use_pretrained_backbone": False,
    "use_timm_backbone": False,
}


def module(seed: int = 3) -> Any:
    """Such a network, which tells different depths."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    config = DepthAnythingConfig.from_dict({**MODEL, "max_depth": 1, "backbone_config": ENCODER})
    network = DepthAnythingForDepthEstimation(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + drawn * 0.1 if "norm" in name else drawn * 0.2)
        network.head.conv3.bias.fill_(20.0)  # so that nothing is cut off at 0
    return network


def write(folder: Path, network: Any, config: dict[str, Any] | None = None) -> None:
    """As transformers writes it: with the names that published files have."""
    network.save_pretrained(folder)
    said = {**MODEL, "backbone_config": ENCODER, **(config or {})}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")


def write_renamed(folder: Path, network: Any) -> None:
    """With the names that transformers' module has."""
    write(folder, network)
    save(folder / "model.safetensors", network.state_dict())
