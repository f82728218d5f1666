"""Which files are of FLUX.1."""

import re
from collections.abc import Mapping
from typing import Any, Final

from catalog.families import flux
from catalog.families.flux import CHROMA, FLUX, FLUX_OR_CHROMA, FLUX_OR_KLEIN, TASKS
from catalog.families.recognition import BaseNames, Shapes, Transformer

ADAPTER_BASES: Final = (FLUX, FLUX_OR_CHROMA, FLUX_OR_KLEIN)
"""The shapes of many adapters do not tell it from Chroma, and of some not from FLUX.2 klein."""
KONTEXT: Final = "FluxKontext"
"""What the pipelines of the variant that edits images are called."""

_NEEDED: Final = (
    (
        "double_blocks.0.img_attn.qkv.weight",
        "vector_in.in_layer.weight",
        "final_layer.linear.weight",
    ),
    (
        "single_transformer_blocks.0.attn.norm_k.weight",
        "time_text_embed.text_embedder.linear_1.weight",
        "proj_out.weight",
    ),
)
"""In its authors' names and in diffusers': blocks, which others have as well, what reads CLIP's
pooled state, which Chroma has not, and the last layer, which ControlNets have not."""
_GUIDED: Final = ("guidance_in.in_layer.", "time_text_embed.guidance_embedder.")
_BLOCKS: Final = (
    (19, re.compile(r"(?:^|\.)(?:double_blocks|transformer_blocks)\.(\d+)\.")),
    (38, re.compile(r"(?:^|\.)(?:single_blocks|single_transformer_blocks)\.(\d+)\.")),
)
"""How many blocks of two streams and of one its models have, and names that have their numbers."""


def _model(prefix: str, shapes: Shapes) -> str:
    if not any(all(prefix + name in shapes for name in needed) for needed in _NEEDED):
        return ""
    numbers = flux.numbers_read(prefix, shapes)
    return FLUX if numbers and numbers not in TASKS else ""


def _resized(shapes: Shapes) -> str:
    inputs = (shape for name, shape in shapes.items() if name.endswith(flux.INPUTS))
    if not any(shape[:1] == (flux.WIDTH,) for shape in inputs):
        return ""
    usual = " + ".join(str(count) for count, _ in _BLOCKS)
    found = " + ".join(
        str(len({match[1] for name in shapes if (match := pattern.search(name))}))
        for _, pattern in _BLOCKS
    )
    return "" if found == usual else f"{found} blocks instead of {usual}"


def _guided(shapes: Shapes) -> bool:
    return any(mark in name for name in shapes for mark in _GUIDED)


def _folder(_: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    width = config.get("in_channels")
    task = TASKS.get(width) if isinstance(width, int) else None
    return f"{FLUX} ({task})" if task else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="Flux",
    others=(KONTEXT,),
    folder=_folder,
    resized=_resized,
    guided=_guided,
    adapter_base=flux.adapter_base_among(ADAPTER_BASES),
    telling=flux.TELLING,
    base_names=BaseNames(
        alike=(
            (FLUX, frozenset({"Hunyuan"})),
            (FLUX_OR_CHROMA, frozenset({CHROMA, FLUX, "Hunyuan"})),
        ),
    ),
)
