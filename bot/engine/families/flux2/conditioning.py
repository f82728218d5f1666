"""The conditioning of FLUX.2's transformer: hidden states, positions, pictures. Imports torch."""

from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.environment import Place
from bot.engine.families.flux2.latents import shape
from bot.engine.families.flux2.text import TOKENS, Encoded
from bot.engine.families.packing import packed, unpacked
from bot.engine.kernels import Shape

LEVELS: Final = 1_000
"""The transformer counts noise levels from 0 to 1, schedulers to 1,000."""


@dataclass(frozen=True, slots=True)
class References:
    """Pictures for the transformer to look at while it denoises, from `references.encoded`.

    tokens: shape (1, n, 128). positions: shape (1, n, 4).
    """

    tokens: torch.Tensor
    positions: torch.Tensor


@dataclass(frozen=True, slots=True)
class Conditioning:
    """With guidance, the negative prompt comes first.

    prompts: one or two, shape (1, 512, width) each.
    text_positions: shape (1, 512, 4). positions: of the image's tokens and then the references',
    shape (1, n, 4). references: None without any.

    Each prompt is evaluated on its own, as in diffusers: in a batch, the bits would be others.
    """

    prompts: tuple[torch.Tensor, ...]
    text_positions: torch.Tensor
    positions: torch.Tensor
    references: References | None

    @classmethod
    def of(
        cls, encoded: Encoded, size: tuple[int, int], references: References | None
    ) -> "Conditioning":
        prompt, negative = encoded.prompt, encoded.negative
        _, _, height, width = shape(size)
        own = positions(prompt.device, height=height, width=width)
        return cls(
            (prompt,) if negative is None else (negative, prompt),
            positions(prompt.device, tokens=prompt.shape[1]),
            own if references is None else torch.cat([own, references.positions], dim=1),
            references,
        )

    @property
    def rows(self) -> int:
        return len(self.prompts)

    @property
    def tokens(self) -> int:
        return self.prompts[0].shape[1]

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """See `families.Conditioning`."""
        predicted = (
            self._one(denoiser, prompt, own, timestep)
            for prompt, own in zip(self.prompts, latents.chunk(self.rows), strict=True)
        )
        return torch.cat(tuple(predicted))

    def _one(
        self, denoiser: Any, prompt: torch.Tensor, latents: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        seen = own = packed(latents)
        if self.references is not None:
            seen = torch.cat([own, self.references.tokens.to(own.dtype)], dim=1)
        predicted: torch.Tensor = denoiser(
            hidden_states=seen.to(prompt.dtype),
            timestep=timestep.expand(1).to(latents.dtype) / LEVELS,
            encoder_hidden_states=prompt,
            txt_ids=self.text_positions,
            img_ids=self.positions,
            return_dict=False,
        )[0]
        return unpacked(predicted[:, : own.shape[1]], latents)


def positions(
    device: torch.device, *, time: int = 0, height: int = 1, width: int = 1, tokens: int = 1
) -> torch.Tensor:
    """Where the tokens of a picture are, row by row, or those of a prompt, one after the other.

    time: 0 for the image that is generated, another for each reference. height, width: of a
        picture. tokens: of a prompt.
    Returns whole numbers of shape (1, height · width · tokens, 4): time, row, column, place.
    """
    counted = (torch.arange(count) for count in (height, width, tokens))
    return torch.cartesian_prod(torch.tensor([time]), *counted)[None].to(device)


def rehearse(transformer: Any, place: Place, denoiser: Any, of: Shape) -> None:
    """Call `denoiser` once as for an image of that shape. transformer: what it computes."""
    place.enter()  # it is called in a thread that only compiles
    size, like = (of.width, of.height), {"device": place.device, "dtype": transformer.dtype}
    prompt = torch.zeros(1, TOKENS, transformer.config.joint_attention_dim, **like)
    conditioning = Conditioning.of(Encoded(prompt, None), size, None)
    latents = torch.zeros(shape(size), **like)
    conditioning.predict(denoiser, latents, torch.tensor(500.0, device=place.device))
