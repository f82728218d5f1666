"""What keeps Z-Image's transformer within the range of float16, on cards without bfloat16.

Its feed-forward layers reach some 900,000 where float16 ends at 65,504 (Tongyi-MAI/Z-Image issues
14 and 15). Comfy-Org/ComfyUI (comfy/ldm/lumina/model.py, `clamp_fp16`) holds their products and the
outputs of both halves of a block at the end of the range, with which the distilled model works; in
other dtypes nothing changes.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_z_image import (
    FeedForward,
    ZImageTransformerBlock,
    ZSingleStreamAttnProcessor,
)

from bot.engine.families.float16 import clamped


class ClampedFeedForward(FeedForward):  # type: ignore[misc]
    """The same parameters, with clamped products and output."""

    def _forward_silu_gating(self, x1: torch.Tensor, x3: torch.Tensor) -> torch.Tensor:
        return clamped(super()._forward_silu_gating(x1, x3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return clamped(super().forward(x))


class ClampedAttention(ZSingleStreamAttnProcessor):  # type: ignore[misc]
    """The same, with clamped output. diffusers passes on the arguments that are named here."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        freqs_cis: torch.Tensor | None = None,
    ) -> torch.Tensor:
        seen = (hidden_states, encoder_hidden_states, attention_mask, freqs_cis)
        return clamped(super().__call__(attn, *seen))


def clamp(transformer: torch.nn.Module) -> None:
    """Clamp every block of `transformer`, in float16."""
    for block in transformer.modules():
        if isinstance(block, ZImageTransformerBlock):
            block.feed_forward.__class__ = ClampedFeedForward
            block.attention.set_processor(ClampedAttention())
