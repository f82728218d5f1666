"""What holds numbers within the range of float16, on cards without bfloat16. Imports torch."""

import torch


def clamped(values: torch.Tensor) -> torch.Tensor:
    """`values`, and in float16 with its largest numbers in place of infinity, and 0 for NaN."""
    if values.dtype != torch.float16:
        return values
    limit = torch.finfo(torch.float16).max
    return torch.nan_to_num(values, nan=0.0, posinf=limit, neginf=-limit)
