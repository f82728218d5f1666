"""What holds numbers within the range of float16, on cards without bfloat16. Imports torch."""

import torch


def clamped(values: torch.Tensor) -> torch.Tensor:
    """`values`, and in float16 with its largest numbers in place of infinity, and 0 for NaN."""
    if values.dtype != torch.float16:
        return values
    limit = torch.finfo(torch.float16).max
    return torch.nan_to_num(values, nan=0.0, posinf=limit, neginf=-limit)


class ClampedLayerNorm(torch.nn.LayerNorm):
    """The same, of clamped numbers."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        return super().forward(clamped(input))


def clamp_norms(block: torch.nn.Module) -> None:
    """Let every LayerNorm in `block` see clamped numbers."""
    for inner in block.modules():
        if type(inner) is torch.nn.LayerNorm:
            inner.__class__ = ClampedLayerNorm
