"""What keeps Anima's transformer within the range of float16, on cards without bfloat16.

What its blocks add up goes beyond that range. Comfy-Org/ComfyUI (comfy/ldm/cosmos/predict2.py,
`MiniTrainDIT._forward`) keeps the sum in float32 and computes everything else in float16; clamping
the sum, as for Z-Image, would visibly cost quality. In other dtypes nothing changes.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_cosmos import (
    CosmosAdaLayerNorm,
    CosmosAdaLayerNormZero,
    CosmosTransformerBlock,
)


class NarrowedLayerNorm(CosmosAdaLayerNorm):  # type: ignore[misc]
    """The same parameters; what comes out has the dtype of the time's embedding."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        embedded_timestep: torch.Tensor,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        found: torch.Tensor = super().forward(hidden_states, embedded_timestep, temb)
        return found.to(embedded_timestep.dtype)


class NarrowedLayerNormZero(CosmosAdaLayerNormZero):  # type: ignore[misc]
    """The same, and in float16 a gate in float32, in which it multiplies."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        embedded_timestep: torch.Tensor,
        temb: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found, gate = super().forward(hidden_states, embedded_timestep, temb)
        return found.to(embedded_timestep.dtype), gate.to(hidden_states.dtype)


class WideBlock(CosmosTransformerBlock):  # type: ignore[misc]
    """The same parameters; in float16, what goes through all blocks is float32."""

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if hidden_states.dtype == torch.float16:
            hidden_states = hidden_states.float()
        found: torch.Tensor = super().forward(hidden_states, *args, **kwargs)
        return found


def widen(transformer: torch.nn.Module) -> None:
    """Let the sum that goes through all blocks of `transformer` be float32, in float16."""
    for module in transformer.modules():
        if isinstance(module, CosmosTransformerBlock):
            module.__class__ = WideBlock
        elif isinstance(module, CosmosAdaLayerNormZero):
            module.__class__ = NarrowedLayerNormZero
        elif isinstance(module, CosmosAdaLayerNorm):
            module.__class__ = NarrowedLayerNorm
