"""What the files of Florence-2 say: configuration, names of tensors, tokenizer. Imports torch.

Two layouts are read. One is transformers' own. The other is that of the code which the first files
were published with and which fine-tunes still have: that code is never run. Its tensors are the
same ones under other names (transformers' convert_florence2_original_pytorch_to_hf.py), and so are
the values of its configuration.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import torch
from transformers import BartConfig, BartTokenizer, Florence2Config

from bot.engine.configurations import (
    ABSENT,
    Kind,
    either,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.selecting import TOKENIZER
from bot.engine.sources import Source
from bot.engine.subject import Subject
from catalog.weight_files.pipeline import NETWORK as CONFIG

NAME: Final = "describer"
_SIZE: Final = whole(1, 16_384)
_LAYERS: Final = whole(1, 64)
_TRUTH: Final = one_of(True, False)
_STAGES: Final = 4
_TOKEN: Final = whole(0, 1_000_000)
_MODEL: Final = Kind(
    ("Florence2ForConditionalGeneration",),
    {"model_type": one_of("florence2")},
)
_EYE: Final = Kind(
    ("Florence2VisionBackbone",),
    {
        "model_type": one_of("florence_vision"),
        "in_channels": one_of(3),
        "depths": exactly(_LAYERS, _STAGES),
        "patch_size": exactly(whole(1, 64), _STAGES),
        "patch_stride": exactly(whole(1, 64), _STAGES),
        "patch_padding": exactly(whole(0, 64), _STAGES),
        "patch_prenorm": exactly(_TRUTH, _STAGES),
        "embed_dim": exactly(_SIZE, _STAGES),
        "num_heads": exactly(whole(1, 256), _STAGES),
        "num_groups": exactly(whole(1, 256), _STAGES),
        "window_size": whole(1, 64),
        "mlp_ratio": number(1, 16),
        "qkv_bias": _TRUTH,
        "activation_function": one_of("gelu"),
        "projection_dim": _SIZE,
        "max_temporal_embeddings": whole(1, 1_000),
        "max_position_embeddings": whole(1, 1_000),
    },
)
_WRITER: Final = Kind(
    ("BartForConditionalGeneration", "BartModel", "Florence2LanguageForConditionalGeneration"),
    {
        "model_type": one_of("bart"),
        "vocab_size": whole(8, 1_000_000),
        "max_position_embeddings": whole(8, 65_536),
        "d_model": _SIZE,
        "encoder_layers": _LAYERS,
        "encoder_ffn_dim": whole(1, 65_536),
        "encoder_attention_heads": whole(1, 256),
        "decoder_layers": _LAYERS,
        "decoder_ffn_dim": whole(1, 65_536),
        "decoder_attention_heads": whole(1, 256),
        "activation_function": one_of("gelu"),
        "scale_embedding": _TRUTH,
        "pad_token_id": _TOKEN,
        "bos_token_id": _TOKEN,
        "eos_token_id": _TOKEN,
        "decoder_start_token_id": _TOKEN,
        "forced_bos_token_id": either(_TOKEN, ABSENT),
        "forced_eos_token_id": either(_TOKEN, ABSENT),
    },
)
_POSITIONS: Final = Kind(
    (), {"type": one_of("learned_abs_2d"), "max_pos_embeddings": whole(1, 1_000)}
)
_TIMES: Final = Kind((), {"type": one_of("COSINE"), "max_temporal_embeddings": whole(1, 1_000)})
_FEATURES: Final = one_of(["spatial_avg_pool", "temporal_avg_pool"])
_FORMER: Final = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.multi_modal_projector\.image_projection\.weight$", "image_projection"),
    (r"^model\.multi_modal_projector\.image_position_embed\.", "image_pos_embed."),
    (r"^model\.multi_modal_projector\.", ""),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"^(vision_tower\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\.(conv[12])\.(weight|bias)$", r".\1.fn.dw.\2"),
    (r"\.(window_attn|channel_attn)\.(qkv|proj)\.", r".\1.fn.\2."),
    (r"\.spatial_block\.norm1\.", ".spatial_block.window_attn.norm."),
    (r"\.channel_block\.norm1\.", ".channel_block.channel_attn.norm."),
    (r"(_block)\.norm2\.", r"\1.ffn.norm."),
    (r"\.ffn\.(fc[12])\.", r".ffn.fn.net.\1."),
)
"""What the first files call the tensors of transformers' module."""
_TURNED: Final = "image_projection"
"""A matrix that is multiplied from the other side there."""
TIED: Final = ("language_model.encoder.embed_tokens", "language_model.decoder.embed_tokens")
SHARED: Final = "language_model.shared.weight"
"""Within `model`: what embeds tokens, which is one matrix, and the head's as well. Files have it
once or several times."""
_COPIES: Final = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
"""What its tokenizer has to have."""


def tensor_of(stored: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
    """The tensor that the module calls `name`, in either layout; None if there is none."""
    if name in stored:
        return stored[name]
    former = name
    for now, then in _FORMER:
        former = re.sub(now, then, former)
    found = stored.get(former)
    if found is None and (is_tied(name) or name == f"model.{SHARED}"):
        prefixes = ("model.language_model.", "language_model.model.")
        same = [f"{prefix}{each}" for prefix in prefixes for each in _COPIES]
        return next((stored[each] for each in same if each in stored), None)
    return found.T if former == _TURNED and found is not None else found


def is_tied(name: str) -> bool:
    """Whether it is another name of the shared matrix."""
    return name == "lm_head.weight" or name in {f"model.{path}.weight" for path in TIED}


def tokenizer_of(files: Source, most: int, subject: Subject) -> Any:
    """most: how many tokens the network knows."""
    stated = json.loads((files.root / TOKENIZER).read_text(encoding="utf-8"))
    model = stated["model"] if isinstance(stated, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise subject.failed("describer.unreadable", reason=f"{TOKENIZER} is not of BART's kind")
    words = {str(word): int(n) for word, n in model["vocab"].items()}
    missing = [word for word in _SPECIAL if word not in words]
    if missing or not all(0 <= n < most for n in words.values()):
        said = f"{TOKENIZER} has {len(words)} tokens, the network knows {most}"
        reason = f"{TOKENIZER} lacks {missing[0]}" if missing else said
        raise subject.failed("describer.unreadable", reason=reason)
    pairs = [each.split(" ") if isinstance(each, str) else each for each in model["merges"]]
    merges = [(str(one), str(other)) for one, other in pairs]
    return BartTokenizer(vocab=words, merges=merges)


def configuration_of(files: Source, subject: Subject) -> Any:
    stated = json.loads((files.root / CONFIG).read_text(encoding="utf-8"))
    if isinstance(stated, dict) and _is_former(stated):
        stated = _as_now(stated, subject)
    if not isinstance(stated, dict) or stated.get("model_type") != "florence2":
        raise subject.failed("describer.other")
    known(NAME, stated, _MODEL, subject)
    eye = known(f"{NAME}.vision_config", stated.get("vision_config"), _EYE, subject)
    writer = known(f"{NAME}.text_config", stated.get("text_config"), _WRITER, subject)
    eye.pop("model_type", None)
    writer.pop("model_type", None)
    return Florence2Config(
        vision_config={**eye, "model_type": "florence_vision", "drop_path_rate": 0.0},
        text_config=BartConfig(**writer),
    )


def _is_former(stated: Mapping[str, Any]) -> bool:
    """Whether it is of the first files' layout: its eye has other names for its fields."""
    eye = stated.get("vision_config")
    return isinstance(eye, dict) and "dim_embed" in eye


def _as_now(stated: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The configuration of the first files as transformers has it. That it names code to run is
    passed over, as none is. Raises JobFailed where it could not mean the same."""
    eye = dict(stated["vision_config"])
    places = known(f"{NAME}.image_pos_embed", eye.pop("image_pos_embed", None), _POSITIONS, subject)
    times = known(
        f"{NAME}.visual_temporal_embedding",
        eye.pop("visual_temporal_embedding", None),
        _TIMES,
        subject,
    )
    pooled = {"image_feature_source": eye.pop("image_feature_source", None)}
    known(NAME, pooled, Kind((), {"image_feature_source": _FEATURES}), subject)
    text = stated.get("text_config")
    return {
        "model_type": "florence2",
        "architectures": stated.get("architectures"),
        "vision_config": {
            **eye,
            "model_type": "florence_vision",
            "architectures": None,
            "embed_dim": eye.get("dim_embed"),
            "max_position_embeddings": places["max_pos_embeddings"],
            "max_temporal_embeddings": times["max_temporal_embeddings"],
        },
        "text_config": {**text, "model_type": "bart"} if isinstance(text, dict) else text,
    }
