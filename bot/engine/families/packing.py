"""Latents as the tokens of a transformer: 2×2 pixels each, row by row. Imports torch."""

from typing import Final

import torch

PATCH: Final = 2


def patchified(latents: torch.Tensor) -> torch.Tensor:
    """2×2 pixels as one of four times as many channels."""
    return torch.nn.functional.pixel_unshuffle(latents, PATCH)


def unpatchified(latents: torch.Tensor) -> torch.Tensor:
    """The reverse of `patchified`."""
    return torch.nn.functional.pixel_shuffle(latents, PATCH)


def packed(latents: torch.Tensor) -> torch.Tensor:
    """(n, channels, h, w) as tokens, row by row: (n, h·w, channels)."""
    return latents.flatten(2).transpose(1, 2)


def unpacked(tokens: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The reverse of `packed`. like: latents of the shape to restore."""
    return tokens.transpose(1, 2).reshape(like.shape)
