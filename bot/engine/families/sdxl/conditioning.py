"""The conditioning of SDXL's UNet: embeddings and sizes. Imports torch."""

from dataclasses import dataclass
from typing import Any

import torch

from bot.engine.environment import Place
from bot.engine.families.sdxl.latents import CHANNELS, VAE_SCALE
from bot.engine.families.sdxl.text import Encoded
from bot.engine.kernels import Shape


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompt: shape (1 or 2, tokens, width).
    added: the pooled prompt, shape (1 or 2, projection); the sizes, shape (1 or 2, 6); and the
        embeddings of a reference image, if there is one.
    """

    prompt: torch.Tensor
    added: dict[str, Any]

    @classmethod
    def of(
        cls, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> "Conditioning":
        prompt, pooled = encoded.prompt, encoded.pooled
        if encoded.negative is not None and encoded.negative_pooled is not None:
            prompt = torch.cat([encoded.negative, prompt])
            pooled = torch.cat([encoded.negative_pooled, pooled])
        width, height = size
        # original size, crop, target size (arXiv 2307.01952, section 2.2)
        ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=prompt.dtype)
        added: dict[str, Any] = {
            "text_embeds": pooled,
            "time_ids": ids.repeat(prompt.shape[0], 1).to(prompt.device),
        }
        if image is not None:
            added["image_embeds"] = image
        return cls(prompt, added)

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


def rehearse(projection: int, place: Place, unet: Any, shape: Shape) -> None:
    """Call `unet` once as for an image of `shape`. projection: width of the pooled prompt."""
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
            "text_embeds": torch.zeros(shape.rows, projection, **like),
            "time_ids": torch.zeros(shape.rows, 6, **like),
        },
        return_dict=False,
    )
