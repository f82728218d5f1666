"""For which base model a file was made."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

OURS: Final = "SDXL"
UNKNOWN_BASE: Final = "another base model"
_BY_CONTEXT: Final = {
    768: "SD 1.5",
    1024: "SD 2",
    1280: "the SDXL refiner",
    2048: OURS,
    4096: "SD 3 or Flux",
}
"""Width of the text embeddings that a cross-attention layer reads → base model."""
_CONTEXT_LAYER: Final = re.compile(r"attn2[._](?:processor\.)?to[._][kv]$")
_BY_MODULE: Final = (
    ("Flux", re.compile(r"double_blocks|single_blocks|single_transformer_blocks")),
    ("SD 3", re.compile(r"joint_blocks|attn[._]add_[qkv]_proj")),
)
_BY_METADATA: Final = (
    (OURS, re.compile(r"^(stable-diffusion-xl|sdxl)")),
    ("SD 1.5", re.compile(r"^(stable-diffusion-v1|sd_v1|sd_1)")),
    ("SD 2", re.compile(r"^(stable-diffusion-v2|sd_v2|sd_2)")),
    ("SD 3", re.compile(r"^(stable-diffusion-3|stable-diffusion-v3|sd3)")),
    ("Flux", re.compile(r"^flux")),
)
"""`modelspec.architecture` (Stability's ModelSpec) and kohya's `ss_base_model_version`."""


def reads_context(module: str) -> bool:
    """Whether a module of this name reads the text embeddings, so that its input tells the base."""
    return _CONTEXT_LAYER.search(module) is not None


def base_model(context: int | None, modules: Iterable[str], metadata: Mapping[str, str]) -> str:
    """The base model that a file was made for, or UNKNOWN_BASE.

    context: width of the text embeddings that its cross-attention reads, when it has such.
    """
    if context in _BY_CONTEXT:
        return _BY_CONTEXT[context]
    for module in modules:
        for base, pattern in _BY_MODULE:
            if pattern.search(module):
                return base
    for key in ("modelspec.architecture", "ss_base_model_version"):
        for base, pattern in _BY_METADATA:
            if pattern.search(metadata.get(key, "").lower()):
                return base
    return UNKNOWN_BASE
