"""From noise to latents: the loop of diffusers' SDXL pipelines, step for step."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

VAE_SCALE = 8

Estimate = Callable[[], torch.Tensor]
"""Works out, when it is called, the clean latents that a step points to; see `clean`."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What steers the UNet at every step; with guidance, the negative one comes first.

    prompt: shape (1 or 2, tokens, width). pooled: (1 or 2, projection). size: of the picture in
    pixels, which SDXL is told. guidance: 1.0 or less is the prompt alone.
    rescale: 0.0–1.0, how much of guidance's growth in contrast is taken back (arXiv 2305.08891,
        section 3.4), for models trained to zero terminal SNR.
    image: a reference picture's embeddings as the UNet's IP-Adapter layers take them, or None.
    """

    prompt: torch.Tensor
    pooled: torch.Tensor
    size: tuple[int, int]
    guidance: float
    rescale: float = 0.0
    image: list[torch.Tensor] | None = None

    @property
    def guided(self) -> bool:
        return self.guidance > 1.0


def noise(size: tuple[int, int], generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    """Shape (1, 4, height/8, width/8), drawn on the CPU, with dtype and device of `like`."""
    width, height = size
    shape = (1, 4, height // VAE_SCALE, width // VAE_SCALE)
    drawn: torch.Tensor = randn_tensor(
        shape, generator=generator, device=like.device, dtype=like.dtype
    )
    return drawn


def denoise(
    unet: Callable[..., Any],
    scheduler: Any,
    timesteps: torch.Tensor,
    latents: torch.Tensor,
    conditioning: Conditioning,
    generator: torch.Generator,
    step_done: Callable[[int, Estimate], None],
) -> torch.Tensor:
    """Run `scheduler` over `timesteps` from `latents` (already noisy); returns clean latents.

    unet: called as a UNet2DConditionModel. step_done: told how often the UNet was asked, and an
        estimate that costs nothing unless it is called; may raise to stop.
    """
    width, height = conditioning.size
    rows = conditioning.prompt.shape[0]
    # original size, crop, target size (SDXL, arXiv 2307.01952, section 2.2)
    ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=conditioning.prompt.dtype)
    added: dict[str, Any] = {
        "text_embeds": conditioning.pooled,
        "time_ids": ids.repeat(rows, 1).to(latents.device),
    }
    if conditioning.image is not None:
        added["image_embeds"] = conditioning.image
    options = {"generator": generator} if takes_generator(scheduler) else {}
    for number, timestep in enumerate(timesteps, 1):
        seen = scheduler.scale_model_input(torch.cat([latents] * rows), timestep)
        predicted = unet(
            seen,
            timestep.float(),  # as the UNet would; some schedulers count in integers
            encoder_hidden_states=conditioning.prompt,
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        if conditioning.guided:
            predicted = _guide(predicted, conditioning)
        dtype = latents.dtype
        latents = scheduler.step(predicted, timestep, latents, **options, return_dict=False)[0]
        latents = latents.to(dtype)
        step_done(number, partial(clean, scheduler, timestep, seen[:1], predicted))
    return latents


def clean(
    scheduler: Any, timestep: torch.Tensor, seen: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """Clean latents as one evaluation of the UNet sees them; float32, shape of `seen`.

    seen: what the UNet was shown. Whatever the scheduler counts in, that is √ᾱ·x₀ + √(1-ᾱ)·ε
        (arXiv 2006.11239, equation 4), so one formula serves all of them.
    predicted: guidance applied; ε, x₀ or v = √ᾱ·ε - √(1-ᾱ)·x₀ (arXiv 2202.00512, section 4).
    """
    seen, predicted = seen.float(), predicted.float()
    kept: torch.Tensor = scheduler.alphas_cumprod[round(float(timestep))].to(seen)
    match scheduler.config.prediction_type:
        case "sample":
            return predicted
        case "v_prediction":
            return kept.sqrt() * seen - (1 - kept).sqrt() * predicted
        case _:
            return (seen - (1 - kept).sqrt() * predicted) / kept.sqrt()


def _guide(predicted: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    without, asked = predicted.chunk(2)
    guided = without + conditioning.guidance * (asked - without)
    if conditioning.rescale > 0.0:
        axes = list(range(1, guided.ndim))
        spread = asked.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
        guided = conditioning.rescale * (guided * spread) + (1 - conditioning.rescale) * guided
    return guided


def takes_generator(scheduler: Any) -> bool:
    """Whether its steps draw noise, or at least accept where to draw it from."""
    return "generator" in inspect.signature(scheduler.step).parameters
