"""Grounding DINO of a tiny model's size, in transformers' layout, with the fields of the published
configuration."""

import json
from pathlib import Path
from typing import Any

from tests.engine.factories import save

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "face", "hand", "eyes", "a", "fox")
EYE: dict[str, Any] = {
    "architectures": ["SwinBackbone"],
    "attention_probs_dropout_prob": 0.0,
    "depths": [1, 1, 1, 1],
    "drop_path_rate": 0.1,
    "embed_dim": 8,
    "hidden_act": "gelu",
    "image_size": 64,
    "model_type": "swin",
    "num_heads": [1, 2, 2, 4],
    "out_features": ["stage2", "stage3", "stage4"],
    "out_indices": [2, 3, 4],
    "patch_size": 4,
    "window_size": 4,
}
READER: dict[str, Any] = {
    "architectures": None,
    "hidden_size": 16,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "model_type": "bert",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "vocab_size": len(WORDS),
}
MODEL: dict[str, Any] = {
    "architectures": ["GroundingDinoForObjectDetection"],
    "auxiliary_loss": False,
    "d_model": 32,
    "decoder_attention_heads": 2,
    "decoder_bbox_embed_share": True,
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "disable_custom_kernels": False,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "encoder_layers": 2,
    "max_text_len": 32,
    "model_type": "grounding-dino",
    "num_feature_levels": 4,
    "num_queries": 12,
    "position_embedding_type": "sine",
    "torch_dtype": "float32",
    "two_stage": True,
    "two_stage_bbox_embed_share": False,
}


def module(seed: int = 3, **config: Any) -> Any:
    """Such a network, which finds several things in any image."""
    import torch
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        SwinConfig,
    )

    stated = {name: value for name, value in {**MODEL, **config}.items() if name != "torch_dtype"}
    eye = {name: value for name, value in EYE.items() if name != "architectures"}
    network = GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            **stated, backbone_config=SwinConfig(**eye), text_config=BertConfig(**READER)
        )
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            scale = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + drawn * 0.1 if scale else drawn * 0.2)
        network.model.decoder.layer_norm.weight.mul_(0.2)  # so that it is not sure of everything
    return network


def write(folder: Path, network: Any, config: dict[str, Any] | None = None) -> None:
    """As transformers writes it: with the names that published files have."""
    network.save_pretrained(folder)
    said = {**MODEL, "backbone_config": EYE, "text_config": READER, **(config or {})}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")


def write_renamed(folder: Path, network: Any) -> None:
    """With the names that transformers' module has, and what is shared several times."""
    write(folder, network)
    save(folder / "model.safetensors", {n: t.clone() for n, t in network.state_dict().items()})
