"""The conditioning of Z-Image's transformer: hidden states of the prompts. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

LEVELS: Final = 1_000
"""Schedulers count noise levels from 0 to 1,000; the transformer from 1 for noise down to 0."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The prompt, and with guidance the negative one: shape (tokens, width) each."""

    prompt: torch.Tensor
    negative: torch.Tensor | None

    @property
    def rows(self) -> int:
        return 1 if self.negative is None else 2

    @property
    def tokens(self) -> int:
        return max(each.shape[0] for each in (self.prompt, self.negative) if each is not None)

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`."""
        # The prompt comes first, as in diffusers: in another order, the bits would be others.
        texts = [self.prompt, *(() if self.negative is None else (self.negative,))]
        images = list(latents.to(self.prompt.dtype).unsqueeze(2).unbind(0))
        level = (LEVELS - timestep.expand(self.rows)) / LEVELS
        predicted = denoiser(images, level, texts, return_dict=False)[0]
        # It predicts from noise to image, schedulers expect it the other way around.
        return torch.stack([-each.float().squeeze(1) for each in reversed(predicted)])
