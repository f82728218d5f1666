"""What keeps FLUX.1's transformer within the range of float16, on cards without bfloat16.

diffusers clips the sum of the text's tokens at the end of each double block, and that of all tokens
at the end of each single one (pull request 9097). As in FLUX.2's, whatever the next block adds to a
number at the end of the range makes it infinite, and a norm makes NaN of that before the next clip.
So here nothing infinite goes into a norm or out of a block; in other dtypes nothing changes, nor in
float16 where all numbers are within it.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import (
    FluxSingleTransformerBlock,
    FluxTransformerBlock,
)

from bot.engine.families.float16 import clamp_norms, clamped


class ClampedBlock(FluxTransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of the text's and the image's tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        text, image = super().forward(*args, **kwargs)
        return clamped(text), clamped(image)


class ClampedSingleBlock(FluxSingleTransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of all tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        text, image = super().forward(*args, **kwargs)
        return clamped(text), clamped(image)


def clamp(transformer: torch.nn.Module) -> None:
    """Clamp every block of `transformer`, in float16."""
    for block in transformer.modules():
        if isinstance(block, FluxTransformerBlock):
            block.__class__ = ClampedBlock
            clamp_norms(block)
        elif isinstance(block, FluxSingleTransformerBlock):
            block.__class__ = ClampedSingleBlock
            clamp_norms(block)
