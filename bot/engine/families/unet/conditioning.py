"""Calling a UNet that reads a prompt's embeddings. Imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bot.engine.environment import Place
from bot.engine.families.unet.latents import CHANNELS, VAE_SCALE
from bot.engine.kernels import Shape


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompt: shape (1 or 2, tokens, width).
    added: what the UNet is told besides, with as many rows; of a reference image, a list of
        embeddings.
    """

    prompt: torch.Tensor
    added: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return self.prompt.shape[0]

    @property
    def tokens(self) -> int:
        return self.prompt.shape[1]

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`."""
        predicted: torch.Tensor = denoiser(
            latents,
            timestep.float(),  # as the UNet would; some schedulers count in integers
            encoder_hidden_states=self.prompt,
            added_cond_kwargs=self.added,
            return_dict=False,
        )[0]
        return predicted


def rehearse(place: Place, unet: Any, shape: Shape, added: Mapping[str, int]) -> None:
    """Call `unet` once as for an image of `shape`.

    added: name → width of each of `Conditioning.added` without a reference image.
    """
    place.enter()  # it is called in a thread that only compiles
    like: dict[str, Any] = {"device": place.device, "dtype": place.dtype}
    unet(
        torch.zeros(
            shape.rows, CHANNELS, shape.height // VAE_SCALE, shape.width // VAE_SCALE, **like
        ),
        torch.tensor(500.0, device=place.device),
        encoder_hidden_states=torch.zeros(
            shape.rows, shape.tokens, unet.config.cross_attention_dim, **like
        ),
        added_cond_kwargs={
            name: torch.zeros(shape.rows, width, **like) for name, width in added.items()
        },
        return_dict=False,
    )
