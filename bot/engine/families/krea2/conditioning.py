"""The conditioning of Krea 2's transformer: hidden states of the prompts. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.environment import Place
from bot.engine.families.krea2.text import TOKENS, Encoded, Prompt
from bot.engine.families.packing import PATCH, packed, patchified, unpacked, unpatchified
from bot.engine.families.qwen_vae import SCALE, shape
from bot.engine.kernels import Shape
from catalog.families.krea2.recognition import LAYERS

LEVELS: Final = 1_000
"""The transformer counts noise levels from 0 to 1, schedulers to 1,000."""
TOKEN_SIDE: Final = SCALE * PATCH
"""Pixels along each side of what is one token for the transformer."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompts: one or two. Each is evaluated on its own, as in diffusers: in a batch, the bits would
    be others.
    """

    prompts: tuple[Prompt, ...]

    @classmethod
    def of(cls, encoded: Encoded) -> "Conditioning":
        negative = () if encoded.negative is None else (encoded.negative,)
        return cls((*negative, encoded.prompt))

    @property
    def rows(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        return self.prompts[0].states.shape[1]

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
        self, denoiser: Any, prompt: Prompt, latents: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        patches = patchified(latents)
        predicted: torch.Tensor = denoiser(
            hidden_states=packed(patches).to(prompt.states.dtype),
            encoder_hidden_states=prompt.states,
            # In float32: bfloat16 would round steps of a schedule to each other.
            timestep=timestep.expand(1).float() / LEVELS,
            position_ids=positions(patches, prompt.states.shape[1]),
            encoder_attention_mask=prompt.seen,
            return_dict=False,
        )[0]
        return unpatchified(unpacked(predicted, patches)).float()


def positions(patches: torch.Tensor, tokens: int) -> torch.Tensor:
    """Where the tokens of a prompt are, all at 0, and behind them those of `patches`, row by row.

    Returns whole numbers in float32 of shape (tokens + n, 3): time, which is 0, row and column.
    """
    counted = (torch.arange(count) for count in (1, *patches.shape[2:]))
    image = torch.cartesian_prod(*counted)
    return torch.cat([image.new_zeros(tokens, 3), image]).float().to(patches.device)


def rehearse(transformer: Any, place: Place, denoiser: Any, of: Shape) -> None:
    """Call `denoiser` once as for an image of that shape. transformer: what it computes."""
    place.enter()  # it is called in a thread that only compiles
    like = {"device": place.device, "dtype": transformer.dtype}
    width = transformer.config.text_hidden_dim
    seen = torch.ones(1, TOKENS, dtype=torch.bool, device=place.device)
    prompt = Prompt(torch.zeros(1, TOKENS, len(LAYERS), width, **like), seen)
    latents = torch.zeros(shape((of.width, of.height)), device=place.device)
    Conditioning((prompt,)).predict(denoiser, latents, torch.tensor(500.0, device=place.device))
