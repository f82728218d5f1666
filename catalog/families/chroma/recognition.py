"""Which files are of Chroma."""

from typing import Final

from catalog.families import flux
from catalog.families.flux import CHROMA, FLUX, FLUX_OR_CHROMA, FLUX_OR_KLEIN
from catalog.families.recognition import BaseNames, Shapes, Transformer

ADAPTER_BASES: Final = (CHROMA, FLUX_OR_CHROMA, FLUX_OR_KLEIN)
"""The shapes of many adapters do not tell it from FLUX.1, and of some not from FLUX.2 klein."""

_APPROXIMATOR: Final = "distilled_guidance_layer.in_proj.weight"
"""Of what stands for the modulations of FLUX.1, under one name in all files."""
_TOKEN: Final = 64
"""Numbers in 2×2 latents."""


def _model(prefix: str, shapes: Shapes) -> str:
    # Chroma1-Radiance, which has no latents, reads them under another name.
    own = prefix + _APPROXIMATOR in shapes and flux.numbers_read(prefix, shapes) == _TOKEN
    return CHROMA if own else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="Chroma",
    adapter_base=flux.adapter_base_among(ADAPTER_BASES),
    telling=flux.TELLING,
    base_names=BaseNames(
        bases=(("chroma", CHROMA),),
        alike=((FLUX_OR_CHROMA, frozenset({CHROMA, FLUX, "Hunyuan"})),),
    ),
)
