"""The conditioning of Chroma's transformer: hidden states and positions. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.families.chroma.text import Encoded
from bot.engine.families.kl16 import TOKEN_SIDE
from bot.engine.families.packing import packed, patchified, unpacked, unpatchified

LEVELS: Final = 1_000
"""The transformer counts noise levels from 0 to 1, schedulers to 1,000."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompts: one or two, shape (1, tokens, width) each. positions: of the image's tokens, shape
    (n, 3); all tokens of a prompt are at (0, 0, 0).

    There is nothing to be masked, since a prompt has no more padding than is looked at.
    """

    prompts: tuple[torch.Tensor, ...]
    positions: torch.Tensor

    @classmethod
    def of(cls, encoded: Encoded, size: tuple[int, int]) -> "Conditioning":
        prompt, negative = encoded.prompt, encoded.negative
        width, height = (side // TOKEN_SIDE for side in size)
        axes = (torch.zeros(1), torch.arange(height).float(), torch.arange(width).float())
        prompts = (prompt,) if negative is None else (negative, prompt)
        return cls(prompts, torch.cartesian_prod(*axes).to(prompt.device))

    @property
    def rows(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        return max(prompt.shape[1] for prompt in self.prompts)

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`. Each prompt is evaluated on its own, as long as it is."""
        predicted = (
            self._one(denoiser, prompt, own, timestep)
            for prompt, own in zip(self.prompts, latents.chunk(self.rows), strict=True)
        )
        return torch.cat(tuple(predicted))

    def _one(
        self, denoiser: Any, prompt: torch.Tensor, latents: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        patches = patchified(latents)
        predicted: torch.Tensor = denoiser(
            hidden_states=packed(patches).to(prompt.dtype),
            timestep=timestep.expand(1).to(latents.dtype) / LEVELS,
            encoder_hidden_states=prompt,
            txt_ids=self.positions.new_zeros(prompt.shape[1], self.positions.shape[1]),
            img_ids=self.positions,
            return_dict=False,
        )[0]
        return unpatchified(unpacked(predicted, patches))
