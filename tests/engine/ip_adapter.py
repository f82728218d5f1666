"""IP-Adapters and image encoders of a tiny model's size, in the published file format."""

import json
from pathlib import Path
from typing import Any

from catalog import ReferenceEntry
from tests.engine.factories import save

WEIGHTS = "sdxl_models/ip-adapter.safetensors"
ENCODER = "models/image_encoder"
HIDDEN, PROJECTED = 32, 24
"""Width of the encoder's layers and embeddings."""


def entry(folder: Path, **fields: Any) -> ReferenceEntry:
    chosen = {"path": str(folder), "weight_name": WEIGHTS, "encoder": ENCODER, **fields}
    return ReferenceEntry(**chosen)


def build(folder: Path, unet: Any, kind: str = "plain", seed: int = 5) -> ReferenceEntry:
    """Write an adapter for `unet` and its encoder below `folder`. kind: plain, plus or full."""
    write_encoder(folder / ENCODER, seed)
    save(folder / WEIGHTS, tensors(unet, kind, seed))
    return entry(folder)


def tensors(unet: Any, kind: str, seed: int) -> dict[str, Any]:
    """The tensors in an IP-Adapter's file."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    context: int = unet.config.cross_attention_dim

    def drawn(*shape: int) -> Any:
        return torch.randn(shape, generator=generator) * 0.3

    shapes = _projection(kind, context)
    found = {f"image_proj.{name}": drawn(*shape) for name, shape in shapes.items()}
    number = 1
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            inner = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            for side in ("k", "v"):
                found[f"ip_adapter.{number}.to_{side}_ip.weight"] = drawn(inner, context)
            number += 2
    return found


def _projection(kind: str, context: int) -> dict[str, tuple[int, ...]]:
    if kind == "plain":
        return {
            "proj.weight": (4 * context, PROJECTED),
            "proj.bias": (4 * context,),
            "norm.weight": (context,),
            "norm.bias": (context,),
        }
    if kind == "full":
        return {
            "proj.0.weight": (HIDDEN, HIDDEN),
            "proj.0.bias": (HIDDEN,),
            "proj.2.weight": (context, HIDDEN),
            "proj.2.bias": (context,),
            "proj.3.weight": (context,),
            "proj.3.bias": (context,),
        }
    width = 64
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 4, width),
        "proj_in.weight": (width, HIDDEN),
        "proj_in.bias": (width,),
        "proj_out.weight": (context, width),
        "proj_out.bias": (context,),
        "norm_out.weight": (context,),
        "norm_out.bias": (context,),
    }
    for layer in range(4):
        for norm in ("norm1", "norm2"):
            shapes[f"layers.{layer}.0.{norm}.weight"] = (width,)
            shapes[f"layers.{layer}.0.{norm}.bias"] = (width,)
        shapes[f"layers.{layer}.0.to_q.weight"] = (width, width)
        shapes[f"layers.{layer}.0.to_kv.weight"] = (2 * width, width)
        shapes[f"layers.{layer}.0.to_out.weight"] = (width, width)
        shapes[f"layers.{layer}.1.0.weight"] = (width,)
        shapes[f"layers.{layer}.1.0.bias"] = (width,)
        shapes[f"layers.{layer}.1.1.weight"] = (4 * width, width)
        shapes[f"layers.{layer}.1.3.weight"] = (width, 4 * width)
    return shapes


def write_encoder(folder: Path, seed: int = 5, projected: int = PROJECTED) -> None:
    """As transformers writes it."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
        projection_dim=projected,
    )
    module = CLIPVisionModelWithProjection(config)
    generator = torch.Generator().manual_seed(seed)
    parameters = {
        name: torch.randn(parameter.shape, generator=generator) * 0.2
        for name, parameter in module.named_parameters()
    }
    save(folder / "model.safetensors", parameters)
    (folder / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
