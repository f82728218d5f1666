"""Which files are of Chroma."""

from typing import Final

from catalog.families import flux
from catalog.families.flux import CHROMA, FLUX, FLUX_OR_CHROMA, FLUX_OR_KLEIN
from catalog.families.recognition import BaseNames, Shapes, Transformer, Widths

ADAPTER_BASES: Final = (CHROMA, FLUX_OR_CHROMA, FLUX_OR_KLEIN)
"""The shapes of many adapters do not tell it from FLUX.1, and of some not from FLUX.2 klein."""

_APPROXIMATOR: Final = "distilled_guidance_layer.in_proj.weight"
"""Of what stands for the modulations of FLUX.1, under one name in all files."""
_INPUTS: Final = ("img_in.weight", "x_embedder.weight")
"""In its authors' names and in diffusers'; Chroma1-Radiance, which has no latents, has others."""
_TEXT: Final = ("txt_in.weight", "context_embedder.weight")
_WIDTH: Final = 3072
_T5_WIDTH: Final = 4096
_TOKEN: Final = 64
"""Numbers in 2×2 latents."""


def _model(prefix: str, shapes: Shapes) -> str:
    if prefix + _APPROXIMATOR not in shapes:
        return ""
    inputs, text = (
        next((shapes[prefix + name] for name in names if prefix + name in shapes), ())
        for names in (_INPUTS, _TEXT)
    )
    if len(inputs) != 2 or inputs[1] != _TOKEN:
        return ""
    own = inputs[0] < _WIDTH or text[-1:] == (_T5_WIDTH,)
    return CHROMA if own else ""


def _adapter_base(names: str, widths: Widths) -> str:
    base = flux.adapter_base(names, widths)
    return base if base in ADAPTER_BASES else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="Chroma",
    adapter_base=_adapter_base,
    telling=flux.TELLING,
    base_names=BaseNames(
        bases=(("chroma", CHROMA),),
        alike=((FLUX_OR_CHROMA, frozenset({CHROMA, FLUX, "Hunyuan"})),),
    ),
)
