"""What keeps klein's transformer within the range of float16, on cards without bfloat16.

diffusers clips the sum of the text's tokens at the end of each double block, and that of all tokens
at the end of each single one. That is not enough: whatever the next block adds to a number at the
end of the range makes it infinite, and a norm makes NaN of that before the next clip. So here
nothing infinite goes into a norm, out of a product or out of a block; in other dtypes nothing
changes, nor in float16 where all numbers are within it.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_flux2 import (
    Flux2SingleTransformerBlock,
    Flux2SwiGLU,
    Flux2TransformerBlock,
)

from bot.engine.families.float16 import clamp_norms, clamped


class ClampedSwiGLU(Flux2SwiGLU):  # type: ignore[misc]
    """The same, with a clamped product."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return clamped(super().forward(x))


class ClampedBlock(Flux2TransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of the text's and the image's tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        text, image = super().forward(*args, **kwargs)
        return clamped(text), clamped(image)


class ClampedSingleBlock(Flux2SingleTransformerBlock):  # type: ignore[misc]
    """The same parameters, with clamped sums of all tokens."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **kwargs)
        return tuple(map(clamped, found)) if isinstance(found, tuple) else clamped(found)


def clamp(transformer: torch.nn.Module) -> None:
    """Clamp every block of `transformer`, in float16."""
    for block in transformer.modules():
        if isinstance(block, Flux2TransformerBlock):
            block.__class__ = ClampedBlock
        elif isinstance(block, Flux2SingleTransformerBlock):
            block.__class__ = ClampedSingleBlock
        else:
            continue
        clamp_norms(block)
        for inner in block.modules():
            if isinstance(inner, Flux2SwiGLU):
                inner.__class__ = ClampedSwiGLU
