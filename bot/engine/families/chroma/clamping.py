"""What keeps Chroma's transformer within the range of float16, on cards without bfloat16.

diffusers clips the sum of the text's tokens at the end of each double block, and that of all tokens
at the end of each single one. As in FLUX.2's, whatever the next block adds to a number at the end
of the range makes it infinite, and a norm makes NaN of that before the next clip. So here nothing
infinite goes into a norm or out of a block; in other dtypes nothing changes, nor in float16 where
all numbers are within it.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_chroma import (
    ChromaSingleTransformerBlock,
    ChromaTransformerBlock,
)

from bot.engine.families.float16 import clamp_norms, clamped


class ClampedBlock(ChromaTransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of the text's and the image's tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        text, image = super().forward(*args, **kwargs)
        return clamped(text), clamped(image)


class ClampedSingleBlock(ChromaSingleTransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of all tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return clamped(super().forward(*args, **kwargs))


def clamp(transformer: torch.nn.Module) -> None:
    """Clamp every block of `transformer`, in float16."""
    for block in transformer.modules():
        if isinstance(block, ChromaTransformerBlock):
            block.__class__ = ClampedBlock
            clamp_norms(block)
        elif isinstance(block, ChromaSingleTransformerBlock):
            block.__class__ = ClampedSingleBlock
            clamp_norms(block)
