"""Which text encoder is in a file, by the names and shapes of a few of its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from catalog.families import FAMILIES, TEXT_ENCODER
from catalog.families.encoders import QWEN3_06B, QWEN3_4B, QWEN3_VL_4B
from catalog.families.recognition import Shapes

QWEN3: Final = "Qwen3"
"""One of another size."""
QWEN3_VL: Final = "Qwen3-VL"
"""The same of those that read images, too."""
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
    """name: QWEN3 or QWEN3_VL if it is of a size that is not known. width: of its vectors."""

    name: str
    width: int


def text_encoder(shapes: Shapes, metadata: Mapping[str, str]) -> TextEncoder | None:
    """The Qwen3 that is in a file with these tensors, alone or with other networks."""
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


def sized(width: object, *, vision: bool = False) -> str:
    """The Qwen3 whose vectors are so wide; QWEN3 if none is known. vision: whether it reads images,
    too, which is a QWEN3_VL."""
    names, unknown = (_VISION_WIDTHS, QWEN3_VL) if vision else (_WIDTHS, QWEN3)
    return names.get(width, unknown) if isinstance(width, int) else unknown
