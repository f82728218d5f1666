"""What keeps Krea 2's transformer within the range of float16, on cards without bfloat16.

Comfy-Org/ComfyUI (comfy/supported_models.py, `Krea2`) runs it in float16 with nothing to hold it,
and its norms are computed in float32. Should a number go beyond the range all the same, a norm
would make NaN of it, and the image would be lost. So here nothing infinite goes into a norm, out of
a product or out of a block; in other dtypes nothing changes, nor in float16 where all numbers are
within it.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers.models.transformers.transformer_krea2 import (
    Krea2RMSNorm,
    Krea2SwiGLU,
    Krea2TextFusionBlock,
    Krea2TransformerBlock,
)

from bot.engine.families.float16 import clamped


class ClampedRMSNorm(Krea2RMSNorm):  # type: ignore[misc]
    """The same, of clamped numbers."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = super().forward(clamped(hidden_states))
        return found


class ClampedSwiGLU(Krea2SwiGLU):  # type: ignore[misc]
    """The same parameters, with a clamped product."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        gate = torch.nn.functional.silu(self.gate(hidden_states))
        found: torch.Tensor = self.down(clamped(gate * self.up(hidden_states)))
        return found


class ClampedBlock(Krea2TransformerBlock):  # type: ignore[misc]
    """The same parameters, with a clamped sum."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return clamped(super().forward(*args, **kwargs))


class ClampedTextBlock(Krea2TextFusionBlock):  # type: ignore[misc]
    """The same."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return clamped(super().forward(*args, **kwargs))


CLAMPED: Final[Mapping[type[torch.nn.Module], type[torch.nn.Module]]] = {
    Krea2RMSNorm: ClampedRMSNorm,
    Krea2SwiGLU: ClampedSwiGLU,
    Krea2TransformerBlock: ClampedBlock,
    Krea2TextFusionBlock: ClampedTextBlock,
}


def clamp(transformer: torch.nn.Module) -> None:
    """Clamp every block of `transformer`, in float16."""
    for module in transformer.modules():
        if kind := CLAMPED.get(type(module)):
            module.__class__ = kind
