"""From noise to latents: the loop of diffusers' pipelines, step for step."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from bot.engine.families import Conditioning

Estimate = Callable[[], torch.Tensor]
"""Works out, when it is called, the clean latents that a step points to; see `clean`."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """How far the prompt is followed (classifier-free guidance, arXiv 2207.12598).

    scale: 1.0 or less is the prompt alone.
    rescale: 0.0–1.0, how much of guidance's growth in contrast is taken back (arXiv 2305.08891,
        section 3.4), for models trained to zero terminal SNR.
    """

    scale: float
    rescale: float = 0.0

    @property
    def on(self) -> bool:
        return self.scale > 1.0

    def applied(self, predicted: torch.Tensor) -> torch.Tensor:
        """Of the predictions without and with the prompt, one after the other, the guided one."""
        without, asked = predicted.chunk(2)
        guided = without + self.scale * (asked - without)
        if self.rescale > 0.0:
            axes = list(range(1, guided.ndim))
            spread = asked.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
            guided = self.rescale * (guided * spread) + (1 - self.rescale) * guided
        return guided


def noise(
    shape: tuple[int, ...], generator: torch.Generator, device: str, dtype: torch.dtype
) -> torch.Tensor:
    """Drawn on the CPU, whatever the device."""
    drawn: torch.Tensor = randn_tensor(
        shape, generator=generator, device=torch.device(device), dtype=dtype
    )
    return drawn


def denoise(
    denoiser: Callable[..., Any],
    scheduler: Any,
    timesteps: torch.Tensor,
    latents: torch.Tensor,
    conditioning: Conditioning,
    guidance: Guidance,
    generator: torch.Generator,
    step_done: Callable[[int, Estimate], None],
) -> torch.Tensor:
    """Run `scheduler` over `timesteps` from `latents` (already noisy); returns clean latents.

    denoiser: called as the network of that name. step_done: told how often it was asked, and an
        estimate that costs nothing unless it is called; may raise to stop.
    """
    options = {"generator": generator} if takes_generator(scheduler) else {}
    for number, timestep in enumerate(timesteps, 1):
        seen = scheduler.scale_model_input(torch.cat([latents] * conditioning.rows), timestep)
        predicted = conditioning.predict(denoiser, seen, timestep)
        if guidance.on:
            predicted = guidance.applied(predicted)
        dtype = latents.dtype
        latents = scheduler.step(predicted, timestep, latents, **options, return_dict=False)[0]
        latents = latents.to(dtype)
        step_done(number, partial(clean, scheduler, timestep, seen[:1], predicted))
    return latents


def clean(
    scheduler: Any, timestep: torch.Tensor, seen: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """Clean latents as one evaluation of the denoiser sees them; float32, shape of `seen`.

    seen: what it was shown. Whatever the scheduler counts in, that is √ᾱ·x₀ + √(1-ᾱ)·ε
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


def takes_generator(scheduler: Any) -> bool:
    """Whether its steps draw noise, or at least accept where to draw it from."""
    return "generator" in inspect.signature(scheduler.step).parameters
