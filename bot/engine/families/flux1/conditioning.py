"""What FLUX.1's transformer is given: texts, positions, guidance, a picture. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.environment import Place
from bot.engine.families.flux1.text import Encoded, Text, tokens
from bot.engine.families.kl16 import TOKEN_SIDE, shape
from bot.engine.families.packing import packed, patchified, unpacked, unpatchified
from bot.engine.kernels import Shape

LEVELS: Final = 1_000
"""The transformer counts noise levels from 0 to 1, schedulers to 1,000."""
_AXES: Final = 3


@dataclass(frozen=True, slots=True)
class References:
    """A picture for the transformer to look at while it denoises, from `references.encoded`.

    tokens: shape (1, n, 64). positions: shape (n, 3).
    """

    tokens: torch.Tensor
    positions: torch.Tensor


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With two texts, the negative prompt comes first.

    guidance: see `text.Encoded`. text_positions: shape (tokens, 3), all 0. positions: of the
    image's tokens and then the reference's, shape (n, 3). references: None without any.

    Each text is evaluated on its own, as in diffusers: in a batch, the bits would be others.
    """

    texts: tuple[Text, ...]
    guidance: float | None
    text_positions: torch.Tensor
    positions: torch.Tensor
    references: References | None

    @classmethod
    def of(
        cls, encoded: Encoded, size: tuple[int, int], references: References | None
    ) -> "Conditioning":
        states, (width, height) = encoded.prompt.states, size
        own = positions(states.device, height // TOKEN_SIDE, width // TOKEN_SIDE)
        return cls(
            (*(() if encoded.negative is None else (encoded.negative,)), encoded.prompt),
            encoded.guidance,
            torch.zeros(states.shape[1], _AXES, device=states.device),
            own if references is None else torch.cat([own, references.positions]),
            references,
        )

    @property
    def rows(self) -> int:
        return len(self.texts)

    @property
    def tokens(self) -> int:
        return self.texts[0].states.shape[1]

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`."""
        predicted = (
            self._one(denoiser, text, own, timestep)
            for text, own in zip(self.texts, latents.chunk(self.rows), strict=True)
        )
        return torch.cat(tuple(predicted))

    def _one(
        self, denoiser: Any, text: Text, latents: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        patches, guidance = patchified(latents), None
        seen = own = packed(patches)
        if self.references is not None:
            seen = torch.cat([own, self.references.tokens.to(own.dtype)], dim=1)
        if self.guidance is not None:
            guidance = torch.full((1,), self.guidance, device=latents.device)
        predicted: torch.Tensor = denoiser(
            hidden_states=seen.to(text.states.dtype),
            timestep=timestep.expand(1).to(latents.dtype) / LEVELS,
            guidance=guidance,
            pooled_projections=text.pooled,
            encoder_hidden_states=text.states,
            txt_ids=self.text_positions,
            img_ids=self.positions,
            return_dict=False,
        )[0]
        return unpatchified(unpacked(predicted[:, : own.shape[1]], patches))


def positions(device: torch.device, height: int, width: int, *, picture: int = 0) -> torch.Tensor:
    """Where the tokens of a picture are, row by row: shape (height · width, 3).

    picture: 0 for the image that is generated, 1 for one that is looked at.
    """
    axes = (torch.tensor([picture]), torch.arange(height), torch.arange(width))
    return torch.cartesian_prod(*axes).float().to(device)


def rehearse(transformer: Any, place: Place, denoiser: Any, of: Shape) -> None:
    """Call `denoiser` once as for an image of that shape. transformer: what it computes."""
    place.enter()  # it is called in a thread that only compiles
    size, like = (of.width, of.height), {"device": place.device, "dtype": transformer.dtype}
    config = transformer.config
    guidance = 1.0 if config.guidance_embeds else None
    states = torch.zeros(1, tokens(guided=guidance is not None), config.joint_attention_dim, **like)
    text = Text(states, torch.zeros(1, config.pooled_projection_dim, **like))
    conditioning = Conditioning.of(Encoded(text, None, guidance), size, None)
    latents = torch.zeros(shape(size), **like)
    conditioning.predict(denoiser, latents, torch.tensor(500.0, device=place.device))
