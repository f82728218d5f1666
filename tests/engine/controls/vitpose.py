"""ViTPose of a tiny model's size, in transformers' layout, with the fields of the published
configuration."""

import json
from pathlib import Path
from typing import Any

from tests.engine.factories import save

SIZE = (48, 64)
"""Width and height of what it sees."""
POINTS = 17
BACKBONE: dict[str, Any] = {
    "hidden_size": 24,
    "image_size": [SIZE[1], SIZE[0]],
    "model_type": "vitpose_backbone",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "out_features": ["stage2"],
    "out_indices": [2],
    "part_features": 0,
}
MIXED: dict[str, Any] = {"num_experts": 3, "part_features": 8}
"""What a mixture of experts says besides, as ViTPose++ has it."""
MODEL: dict[str, Any] = {
    "architectures": ["VitPoseForPoseEstimation"],
    "backbone": None,
    "backbone_kwargs": None,
    "edges": [[15, 13], [13, 11]],
    "id2label": {str(n): f"LABEL_{n}" for n in range(POINTS)},
    "initializer_range": 0.02,
    "label2id": {f"LABEL_{n}": n for n in range(POINTS)},
    "model_type": "vitpose",
    "scale_factor": 4,
    "torch_dtype": "float32",
    "use_pretrained_backbone": False,
    "use_simple_decoder": True,
    "use_timm_backbone": False,
}


def module(seed: int = 3, *, simple: bool = True, mixed: bool = False) -> Any:
    """Such a network, which is sure of most of its points."""
    import torch
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    inner = {**BACKBONE, **(MIXED if mixed else {})}
    network = VitPoseForPoseEstimation(
        VitPoseConfig(
            backbone_config=VitPoseBackboneConfig(**inner),
            use_simple_decoder=simple,
            num_labels=POINTS,
        )
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if not tensor.is_floating_point():
                continue
            drawn = torch.randn(tensor.shape, generator=generator)
            kept = "norm" in name and name.endswith(("weight", "running_var"))
            tensor.copy_(1 + drawn.abs() * 0.1 if kept else drawn * 0.2)
    return network


def write(folder: Path, network: Any, config: dict[str, Any] | None = None) -> None:
    """As transformers writes it, and with the configuration that is published."""
    network.save_pretrained(folder)
    stated = network.config
    inner = {**BACKBONE, **(MIXED if stated.backbone_config.num_experts > 1 else {})}
    said = {**MODEL, "use_simple_decoder": stated.use_simple_decoder, "backbone_config": inner}
    (folder / "config.json").write_text(json.dumps({**said, **(config or {})}), encoding="utf-8")


def write_renamed(folder: Path, network: Any) -> None:
    """With the names that files of transformers 4 have for experts."""
    write(folder, network)
    tensors = {
        name.replace(".mlp.experts.", ".mlp.experts.experts."): tensor
        for name, tensor in network.state_dict().items()
    }
    save(folder / "model.safetensors", tensors)
