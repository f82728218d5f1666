"""Which text encoder is in a file, by the names and shapes of a few of its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from catalog.families import FAMILIES, TEXT_ENCODER
from catalog.families.encoders import QWEN3_06B, QWEN3_4B, QWEN3_VL_4B, T5_XXL
from catalog.families.recognition import Shapes

QWEN3: Final = "Qwen3"
"""One of another size."""
QWEN3_VL: Final = "Qwen3-VL"
"""The same of those that read images, too."""
T5: Final = "T5"
"""One of another size."""
UMT5: Final = "UMT5"
USABLE: Final = frozenset(filter(None, (family.encoder for family in FAMILIES.values())))
"""Those that a family has."""

_WIDTHS: Final = {
    1024: QWEN3_06B,
    2048: "Qwen3-1.7B",
    2560: QWEN3_4B,
    4096: "Qwen3-8B",
}
"""Of the vectors of a Qwen3 (arXiv 2505.09388, table 1)."""
_VISION_WIDTHS: Final = {
    2048: "Qwen3-VL-2B",
    2560: QWEN3_VL_4B,
    4096: "Qwen3-VL-8B",
}
"""The same of a Qwen3-VL (arXiv 2511.21631)."""
_STATED: Final = "general.architecture"
"""Key of the metadata of a .gguf file, which tell models with the same tensors apart."""
_OF_QWEN3: Final = "qwen3"
_OF_QWEN3_VL: Final = "qwen3vl"

_AROUND: Final = (
    "",
    *dict.fromkeys(
        prefix
        for family in FAMILIES.values()
        if family.encoder
        for prefix in family.lent[TEXT_ENCODER]
    ),
)
"""What the names of a text encoder begin with in a file of several networks."""
_LANGUAGE: Final = "language_model."
_WITHIN: Final = tuple(map("".join, product(("", "transformer."), ("", "model."), ("", _LANGUAGE))))
_PREFIXES: Final = tuple(around + within for around in _AROUND for within in _WITHIN)

_OF_TRANSFORMERS: Final = (
    "embed_tokens.weight",
    ("layers.0.self_attn.q_norm.weight", "layers.0.mlp.gate_proj.weight"),
    ("layers.0.post_feedforward_layernorm.weight", "layers.0.self_attn.q_proj.bias"),
)
_OF_LLAMA: Final = (
    "token_embd.weight",
    ("blk.0.attn_q_norm.weight", "blk.0.ffn_gate.weight"),
    ("blk.0.post_ffw_norm.weight", "blk.0.attn_q.bias"),
)
"""The names of transformers, and of llama.cpp: what is as wide as a Qwen3, what else it has, and
what only others have that are built like it."""
_OF_VISION: Final = ("visual.", "model.visual.")


def kind(name: str) -> str:
    """What a file with that text encoder alone is called: a noun phrase without an article."""
    return f"text encoder ({name})"


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """name: QWEN3, QWEN3_VL or T5 if it is of a size that is not known. width: of its vectors."""

    name: str
    width: int


def text_encoder(shapes: Shapes, metadata: Mapping[str, str]) -> TextEncoder | None:
    """The Qwen3 or T5 that is in a file with these tensors, alone or with other networks."""
    return _qwen3(shapes, metadata) or _t5(shapes)


def _qwen3(shapes: Shapes, metadata: Mapping[str, str]) -> TextEncoder | None:
    stated = metadata.get(_STATED)
    for prefix in _PREFIXES:
        for embeddings, needed, foreign in (_OF_TRANSFORMERS, _OF_LLAMA):
            shape = shapes.get(prefix + embeddings, ())
            if (
                len(shape) != 2
                or any(prefix + name not in shapes for name in needed)
                or any(prefix + name in shapes for name in foreign)
            ):
                continue
            if _LANGUAGE in prefix or any(name.startswith(_OF_VISION) for name in shapes):
                stated = _OF_QWEN3_VL
            if stated in {None, _OF_QWEN3}:
                return TextEncoder(sized(shape[1]), shape[1])
            if stated == _OF_QWEN3_VL:
                return TextEncoder(sized(shape[1], vision=True), shape[1])
            return None
    return None


_T5_OF_TRANSFORMERS: Final = (
    ("shared.weight", "encoder.embed_tokens.weight"),
    "encoder.block.{}.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
)
_T5_OF_LLAMA: Final = (
    ("token_embd.weight",),
    "enc.blk.{}.attn_rel_b.weight",
    "enc.blk.0.ffn_gate.weight",
)
"""The names of transformers, and of llama.cpp: what is as wide as a T5, what its first block alone
has, and UMT5's others as well, and what only T5 since v1.1 has."""
_T5_XXL_WIDTH: Final = 4096


def _t5(shapes: Shapes) -> TextEncoder | None:
    for prefix in (around + within for around in _AROUND for within in ("", "transformer.")):
        for embeddings, bias, gated in (_T5_OF_TRANSFORMERS, _T5_OF_LLAMA):
            found = [shapes[prefix + name] for name in embeddings if prefix + name in shapes]
            if not found or len(found[0]) != 2 or prefix + bias.format(0) not in shapes:
                continue
            width = found[0][1]
            if prefix + bias.format(1) in shapes:
                return TextEncoder(UMT5, width)
            return TextEncoder(sized_t5(width) if prefix + gated in shapes else T5, width)
    return None


def sized(width: object, *, vision: bool = False) -> str:
    """The Qwen3 whose vectors are so wide; QWEN3 if none is known. vision: whether it reads images,
    too, which is a QWEN3_VL."""
    names, unknown = (_VISION_WIDTHS, QWEN3_VL) if vision else (_WIDTHS, QWEN3)
    return names.get(width, unknown) if isinstance(width, int) else unknown


def sized_t5(width: int) -> str:
    """The T5 since v1.1 whose vectors are so wide; T5 if none is known."""
    return T5_XXL if width == _T5_XXL_WIDTH else T5


def unsized(name: str) -> str:
    """What one of another size is called than this one that a family has."""
    return {T5_XXL: T5, QWEN3_VL_4B: QWEN3_VL}.get(name, QWEN3)


def width_of(config: Mapping[str, Any]) -> object:
    """How wide the vectors are of the encoder with this configuration, as strangers wrote it."""
    if isinstance(text := config.get("text_config"), Mapping):
        config = text
    return config.get("hidden_size", config.get("d_model"))
