"""A tiny Florence-2 with random weights: in transformers' layout, and in that of the first files.
Imports transformers."""

import json
import re
from pathlib import Path
from string import ascii_letters
from typing import Any, Final

import torch
from safetensors.torch import save_file
from transformers import (
    BartConfig,
    BartTokenizer,
    Florence2Config,
    Florence2ForConditionalGeneration,
)

from tools.untrained.filling import made

SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
MERGES: Final = (("f", "o"), ("fo", "x"), ("Ġ", "fox"), ("Ġ", "a"), ("s", "h"))
LETTERS: Final = ("Ġ", *ascii_letters, *".,?<>_")
WORDS: Final = (*SPECIAL, *LETTERS, *("".join(pair) for pair in MERGES), "<mask>")
EYE: Final[dict[str, Any]] = {
    "depths": [1, 1, 1, 1],
    "patch_size": [7, 3, 3, 3],
    "patch_stride": [4, 2, 2, 2],
    "patch_padding": [3, 1, 1, 1],
    "patch_prenorm": [False, True, True, True],
    "embed_dim": [8, 8, 16, 16],
    "num_heads": [1, 1, 2, 2],
    "num_groups": [1, 1, 2, 2],
    "window_size": 12,
    "projection_dim": 16,
}
WRITER: Final[dict[str, Any]] = {
    "vocab_size": len(WORDS) + 3,
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_layers": 2,
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 1024,
}
"""With a few words more than the tokenizer has, as the published ones know places in an image."""
_FORMER: Final = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.vision_tower\.convs\.(\d+)\.conv\.", r"vision_tower.convs.\1.proj."),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"\.conv1\.(weight|bias)$", r".conv1.fn.dw.\1"),
    (r"\.conv2\.(weight|bias)$", r".conv2.fn.dw.\1"),
    (r"\.spatial_block\.norm1\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.norm1\.", ".channel_block.channel_attn.norm."),
    (r"\.window_attn\.(qkv|proj)\.", r".window_attn.fn.\1."),
    (r"\.channel_attn\.(qkv|proj)\.", r".channel_attn.fn.\1."),
    (r"\.norm2\.", ".ffn.norm."),
    (r"\.ffn\.(fc\d)\.", r".ffn.fn.net.\1."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
)
"""Names in the first files (transformers' convert_florence2_original_pytorch_to_hf.py)."""


def tokenizer() -> Any:
    """Of BART's kind: each letter is a token, and some of their sequences."""
    return BartTokenizer(vocab={word: n for n, word in enumerate(WORDS)}, merges=[*MERGES])


def module(seed: int = 3) -> Any:
    """Such a network, which writes letters about any image."""
    config = Florence2Config(
        vision_config={**EYE, "model_type": "florence_vision"},
        text_config=BartConfig(**WRITER),
        image_token_id=len(WORDS),
    )
    return made(lambda: Florence2ForConditionalGeneration(config), seed)


def write(folder: Path, network: Any) -> None:
    """As transformers writes it."""
    network.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def write_former(folder: Path, network: Any) -> None:
    """As the first files and their fine-tunes have it, which name code of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in network.state_dict().items():
        former = name
        for now, then in _FORMER:
            former = re.sub(now, then, former)
        turned = tensor.T if former == "image_projection" else tensor
        tensors[former] = turned.clone().contiguous()
    tensors["language_model.final_logits_bias"] = torch.zeros(1, WRITER["vocab_size"])
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    eye = {name: value for name, value in EYE.items() if name != "embed_dim"}
    config = {
        "architectures": ["Florence2ForConditionalGeneration"],
        "auto_map": {
            "AutoModelForCausalLM": "modeling_florence2.Florence2ForConditionalGeneration"
        },
        "model_type": "florence2",
        "projection_dim": EYE["projection_dim"],
        "vision_config": {
            **eye,
            "model_type": "davit",
            "dim_embed": EYE["embed_dim"],
            "drop_path_rate": 0.1,
            "enable_checkpoint": False,
            "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
            "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 50},
            "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 100},
        },
        "text_config": {**WRITER, "model_type": "florence2_language"},
        "torch_dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer().save_pretrained(folder)
