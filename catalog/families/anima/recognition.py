"""Which files are of Anima, whose transformer is Cosmos-Predict2's of 2 billion parameters."""

from typing import Final

from catalog.families import cosmos
from catalog.families.recognition import BaseNames, Shapes, Transformer, Widths

ANIMA_MODEL: Final = "Anima"
"""What its models and the base of its adapters are called."""

_CONDITIONER: Final = "llm_adapter.blocks.0.cross_attn.q_proj.weight"
"""Of the text conditioner, which its files have inside the denoiser."""
_OF_CONDITIONER: Final = "llm_adapter_"
_WIDTHS: Final = (2048, 1024)
"""Of its blocks, and of the text that they read."""
_TEXT: Final = ("_attn2_to_k", "_attn2_to_v")
"""Modules that read it, in diffusers' names, which the blocks of many models have."""


def _model(prefix: str, shapes: Shapes) -> str:
    return ANIMA_MODEL if prefix + _CONDITIONER in shapes else ""


def _adapter_base(names: str, widths: Widths) -> str:
    if _OF_CONDITIONER in names:
        return ANIMA_MODEL
    own, text = _WIDTHS
    width = cosmos.width(names, widths)
    if width is not None:
        return ANIMA_MODEL if width in (0, own) else ""
    reads = any(wide == (text, own) and module.endswith(_TEXT) for module, wide in widths.items())
    return ANIMA_MODEL if reads else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="AnimaModular",
    adapter_base=_adapter_base,
    telling=(*cosmos.TELLING, *_TEXT),
    base_names=BaseNames(bases=(("animate", "AnimateDiff"), ("anima", ANIMA_MODEL))),
)
