"""Which files are of FLUX.2 klein 4B."""

from collections.abc import Mapping
from typing import Any, Final

from catalog.families import flux
from catalog.families.flux import FLUX, FLUX2_DEV, FLUX_OR_KLEIN, KLEIN, KLEIN_4B, KLEIN_9B
from catalog.families.recognition import BaseNames, Shapes, Transformer

FLUX2_KLEIN: Final = KLEIN_4B
"""What its models are called."""
ADAPTER_BASES: Final = (KLEIN_4B, KLEIN, FLUX_OR_KLEIN)
"""The shapes of some adapters do not tell 4B from 9B, or from FLUX.1."""

_KLEIN_9B: Final = (8, 24)
"""Double and single blocks of the larger FLUX.2 klein."""


def _model(prefix: str, shapes: Shapes) -> str:
    return FLUX2_KLEIN if flux.flux2(prefix, shapes) == KLEIN_4B else ""


def _folder(_: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    blocks = (config.get("num_layers"), config.get("num_single_layers"))
    return KLEIN_9B if blocks == _KLEIN_9B else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="Flux2Klein",
    folder=_folder,
    adapter_base=flux.adapter_base_among(ADAPTER_BASES),
    telling=flux.TELLING,
    base_names=BaseNames(
        bases=(("flux2klein4b", KLEIN_4B), ("flux2klein9b", KLEIN_9B), ("flux2klein", KLEIN)),
        alike=(
            (FLUX_OR_KLEIN, frozenset({"Chroma", "Hunyuan", FLUX, KLEIN_4B})),
            (KLEIN, frozenset({KLEIN_4B, KLEIN_9B, FLUX2_DEV})),
        ),
    ),
)
