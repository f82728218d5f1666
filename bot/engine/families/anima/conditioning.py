"""The conditioning of Anima's transformer: what the text conditioner made. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.environment import Place
from bot.engine.families.anima.text import TOKENS, Encoded
from bot.engine.families.qwen_vae import shape
from bot.engine.kernels import Shape

LEVELS: Final = 1_000
"""The transformer counts noise levels from 0 to 1, schedulers to 1,000."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompts: one or two, shape (1, 512, width) each. Each is evaluated on its own, as in diffusers:
    in a batch, the bits would be others.
    """

    prompts: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, encoded: Encoded) -> "Conditioning":
        negative = () if encoded.negative is None else (encoded.negative,)
        return cls((*negative, encoded.prompt))

    @property
    def rows(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        return self.prompts[0].shape[1]

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`.

        In float32, so that a step rounds its latents no further than the transformer does.
        """
        predicted = (
            self._one(denoiser, prompt, own, timestep)
            for prompt, own in zip(self.prompts, latents.chunk(self.rows), strict=True)
        )
        return torch.cat(tuple(predicted))

    def _one(
        self, denoiser: Any, prompt: torch.Tensor, latents: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        seen = latents.to(prompt.dtype).unsqueeze(2)  # one frame
        # Which pixels are no part of a smaller image; here, all are.
        padded = seen.new_zeros(1, 1, *seen.shape[2:])
        predicted: torch.Tensor = denoiser(
            hidden_states=seen,
            # In float32: bfloat16 would round steps of a schedule to each other.
            timestep=timestep.expand(1).float() / LEVELS,
            encoder_hidden_states=prompt,
            condition_mask=padded,
            return_dict=False,
        )[0]
        return predicted.squeeze(2).float()


def rehearse(transformer: Any, place: Place, denoiser: Any, of: Shape) -> None:
    """Call `denoiser` once as for an image of that shape. transformer: what it computes."""
    place.enter()  # it is called in a thread that only compiles
    like = {"device": place.device, "dtype": transformer.dtype}
    prompt = torch.zeros(1, TOKENS, transformer.config.text_embed_dim, **like)
    latents = torch.zeros(shape((of.width, of.height)), device=place.device)
    Conditioning((prompt,)).predict(denoiser, latents, torch.tensor(500.0, device=place.device))
