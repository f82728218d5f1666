"""From noise to latents: the denoising loop, step for step that of diffusers' pipelines."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from bot.engine.families import Conditioning

Weighted = tuple[torch.Generator, float]
"""A generator, and the factor of the noise that is drawn from it."""
Keep = Callable[[torch.Tensor, int], torch.Tensor]
"""Gets latents, and how many evaluations of the denoiser are done; see `denoise`."""
Estimate = Callable[[], torch.Tensor]
"""Computes, when called, the clean latents that a step predicts; see `clean`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """How closely the prompt is followed (classifier-free guidance, arXiv 2207.12598).

    scale: 1.0 or less turns guidance off.
    rescale: 0.0–1.0, how much of the contrast that guidance adds is removed again (arXiv
        2305.08891, section 3.4), for models trained to zero terminal SNR.
    combine: see `Family.guided`.
    """

    scale: float
    rescale: float = 0.0
    combine: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]

    @property
    def on(self) -> bool:
        return self.scale > 1.0

    def applied(self, predicted: torch.Tensor) -> torch.Tensor:
        """The guided prediction. predicted: without the prompt, then with it, in one batch."""
        without, asked = predicted.chunk(2)
        guided = self.combine(without, asked, self.scale)
        if self.rescale > 0.0:
            axes = list(range(1, guided.ndim))
            spread = asked.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)
            guided = self.rescale * (guided * spread) + (1 - self.rescale) * guided
        return guided


def noise(
    shape: tuple[int, ...], generators: Sequence[Weighted], device: str, dtype: torch.dtype
) -> torch.Tensor:
    """Standard normal noise, drawn on the CPU whatever the device: that of all generators, each
    with its factor, added up in float32.

    The sum is exactly standard normal, too, where the noises are independent, as those of different
    seeds are, and the squares of the factors add up to 1: see `bot.request.variation.weights`. Each
    generator is drawn from, whatever its factor; what has none changes no byte.
    """
    cpu = torch.device("cpu")
    drawn = [
        (randn_tensor(shape, generator=generator, device=cpu, dtype=dtype), weight)
        for generator, weight in generators
    ]
    first, *more = [(each, weight) for each, weight in drawn if weight]
    if not more:
        own: torch.Tensor = first[0].to(device)
        return own
    total = torch.zeros(shape)
    for each, weight in (first, *more):
        total += weight * each.float()
    return total.to(dtype).to(device)


def keep_nothing(latents: torch.Tensor, _: int) -> torch.Tensor:
    """A `Keep` for an image of which nothing is kept, or none."""
    return latents


def denoise(
    denoiser: Callable[..., Any],
    scheduler: Any,
    timesteps: torch.Tensor,
    latents: torch.Tensor,
    conditioning_at: Callable[[int], Conditioning],
    guidance: Guidance,
    generator: torch.Generator,
    step_done: Callable[[int, Estimate], None],
    keep: Keep = keep_nothing,
) -> torch.Tensor:
    """Run `scheduler` over `timesteps` from `latents` (already noisy); returns clean latents.

    denoiser: called like the network of that name.
    conditioning_at: gets the number of the step, counted from 0; the rows are always the same.
    step_done: gets the number of evaluations so far and an estimate that costs nothing unless
        called; may raise to stop.
    keep: puts back what is kept of an image: before each evaluation, and in the end.
    """
    options = {"generator": generator} if takes_generator(scheduler) else {}
    for number, timestep in enumerate(timesteps, 1):
        # Heun evaluates the denoiser twice per step.
        conditioning = conditioning_at((number - 1) // scheduler.order)
        latents = keep(latents, number - 1)
        seen = torch.cat([latents] * conditioning.rows)
        if hasattr(scheduler, "scale_model_input"):  # a flow takes them as they are
            seen = scheduler.scale_model_input(seen, timestep)
        predicted = conditioning.predict(denoiser, seen, timestep)
        if guidance.on:
            predicted = guidance.applied(predicted)
        dtype = latents.dtype
        latents = scheduler.step(predicted, timestep, latents, **options, return_dict=False)[0]
        latents = latents.to(dtype)
        step_done(number, partial(clean, scheduler, timestep, seen[:1], predicted))
    return keep(latents, len(timesteps))


def clean(
    scheduler: Any, timestep: torch.Tensor, seen: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """The clean latents that one evaluation of the denoiser predicts; float32, shape of `seen`.

    seen: the denoiser's input. Whatever the scheduler's own scaling, that is √ᾱ·x₀ + √(1-ᾱ)·ε
        (arXiv 2006.11239, equation 4), so one formula serves all schedulers of discrete steps.
    predicted: after guidance; ε, x₀ or v = √ᾱ·ε - √(1-ᾱ)·x₀ (arXiv 2202.00512, section 4). Of
        a flow, ε - x₀; of EDM, what arXiv 2206.00364 calls F, at the time ¼·ln σ.
    """
    seen, predicted = seen.float(), predicted.float()
    config = scheduler.config
    if hasattr(scheduler, "precondition_outputs"):
        level = torch.exp(4 * timestep.float()).to(seen.device)
        unscaled = seen * (level**2 + config.sigma_data**2).sqrt()
        denoised: torch.Tensor = scheduler.precondition_outputs(unscaled, predicted, level)
        return denoised
    if hasattr(scheduler, "scale_noise") or config.get("use_flow_sigmas"):
        at = float(timestep) / float(config.num_train_timesteps)
        return seen - at * predicted
    kept: torch.Tensor = scheduler.alphas_cumprod[round(float(timestep))].to(seen)
    match scheduler.config.prediction_type:
        case "sample":
            return predicted
        case "v_prediction":
            return kept.sqrt() * seen - (1 - kept).sqrt() * predicted
        case _:
            return (seen - (1 - kept).sqrt() * predicted) / kept.sqrt()


def takes_generator(scheduler: Any) -> bool:
    """Whether its steps accept a generator, as those that draw noise do."""
    return "generator" in inspect.signature(scheduler.step).parameters
