"""Which files are of Z-Image."""

from typing import Final

from catalog.families import lumina
from catalog.families.recognition import BaseNames, Shapes, Transformer, Widths

Z_IMAGE: Final = "Z-Image"
"""What its models and the base of its adapters are called."""

_WIDTH: Final = 3840
"""Of its blocks, which Lumina 2 has narrower."""
_CAPTION: Final = "cap_embedder.1.weight"
_ORIGINAL: Final = "noise_refiner.0.attention.k_norm.weight"
_OF_DIFFUSERS: Final = "noise_refiner.0.attention.norm_k.weight"


def _model(prefix: str, shapes: Shapes) -> str:
    caption = shapes.get(prefix + _CAPTION, ())
    if prefix + _ORIGINAL in shapes:
        own = prefix + "cap_pad_token" in shapes or caption[:1] == (_WIDTH,)
    else:
        own = prefix + _OF_DIFFUSERS in shapes and bool(caption)
    return Z_IMAGE if own else ""


def _adapter_base(names: str, widths: Widths) -> str:
    return Z_IMAGE if lumina.width(names, widths) == _WIDTH else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="ZImage",
    adapter_base=_adapter_base,
    telling=lumina.TELLING,
    base_names=BaseNames(bases=(("zimage", Z_IMAGE),)),
)
