"""What one picture goes through: begun, denoised, decoded; enlarged and denoised once more.

Imports torch; runs in the engine thread only.
"""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import PIL.Image
import torch

from bot.engine import pixels, sampling
from bot.engine.denoise import Conditioning, Estimate, denoise, noise
from bot.engine.kernels import Choice, Shape
from bot.engine.memory import Plan
from bot.engine.preview import Preview
from bot.engine.prompt import Encoded
from bot.engine.reference import Guide
from bot.engine.residency import Resident
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.request import GenerationRequest
from catalog import ModelEntry

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request with everything found, decided and encoded.

    begun: the distribution of the latents of the picture to paint over. guide: the picture to be
    guided by. kernels: the ways to run the UNet, and which were used.
    preview: shows what it is becoming; None when nobody looks.
    """

    request: GenerationRequest
    entry: ModelEntry
    resident: Resident
    plan: Plan
    device: str
    encoded: Encoded
    begun: Any | None
    guide: Guide | None
    kernels: Choice
    preview: Preview | None
    report: Callable[[Progress], None]
    check_stop: Callable[[], None]


def paint_image(job: Job, number: int) -> tuple[PaintedImage, Any]:
    """Image `number`, counted from 0, alone in its batch; and the scheduler that made it."""
    request, init = job.request, job.request.init_image
    here = Progress(Stage.PAINTING, image=number + 1, count=request.count)
    seed = request.image_seed(number)
    generator = torch.Generator("cpu").manual_seed(seed)
    size = (request.width, request.height)
    taken = request.steps if init is None else sampling.taken(request.steps, init.strength)
    run = _Run(job, size, request.steps, taken, generator, replace(here, steps=taken))
    latents, scheduler = run.denoised(job.begun)
    image = run.decoded(latents)
    if request.hires is not None:
        size, taken = request.final_size, request.hires.taken
        image = image.resize(size, PIL.Image.Resampling.LANCZOS)
        begun = pixels.distribution(job.resident.vae, image, tiled=job.plan.tiled)
        here = replace(here, larger=True, steps=taken)
        run = _Run(job, size, request.hires.steps, taken, generator, here)
        latents, scheduler = run.denoised(begun)
        image = run.decoded(latents)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return PaintedImage(seed, image, digest), scheduler


@dataclass(frozen=True, slots=True)
class _Run:
    """One pass: the last `taken` of `steps` steps, at `size`."""

    job: Job
    size: Size
    steps: int
    taken: int
    generator: torch.Generator
    here: Progress

    def denoised(self, begun: Any | None) -> tuple[torch.Tensor, Any]:
        """Clean latents, and the scheduler that was used.

        begun: the distribution of the latents that noise is added to; None: noise alone.
        """
        job, resident = self.job, self.job.resident
        job.report(self.here)
        trained = sampling.trained(resident.scheduler_config, resident.training, job.entry)
        scheduler = sampling.build(job.request.scheduler, trained, self.steps)
        sampling.set_steps(
            scheduler, job.request.scheduler, self.steps, job.request.spacing, job.device
        )
        order = scheduler.order

        def step_done(evaluation: int, estimate: Estimate) -> None:
            job.check_stop()
            # Heun looks twice at each step
            step = (evaluation - 1) // order + 1
            unfinished = step < self.taken
            preview = job.preview.of(estimate) if job.preview and unfinished else None
            job.report(replace(self.here, step=step, preview=preview))

        timesteps = scheduler.timesteps
        if begun is None:
            drawn = noise(self.size, self.generator, job.encoded.prompt)
            latents = drawn * scheduler.init_noise_sigma
        else:
            timesteps = sampling.skip_to(scheduler, self.steps - self.taken)
            latents = self._noisy(begun, scheduler, timesteps)
        resident.wake(job.check_stop, "unet", "vae")
        conditioning = _conditioning(job, self.size)
        wearing = job.guide.worn(resident.unet, job.check_stop) if job.guide else nullcontext()
        with wearing:
            latents = denoise(
                self._unet(conditioning),
                scheduler,
                timesteps,
                latents,
                conditioning,
                self.generator,
                step_done,
            )
        return latents, scheduler

    def _unet(self, conditioning: Conditioning) -> Callable[..., Any]:
        rows, tokens, _ = conditioning.prompt.shape
        return self.job.kernels.of(Shape(rows, tokens, *self.size))

    def decoded(self, latents: torch.Tensor) -> PIL.Image.Image:
        job = self.job
        job.check_stop()
        job.report(replace(self.here, stage=Stage.DECODING, step=self.taken))
        if job.plan.park_unet:
            job.resident.park("unet")
        if job.plan.park_reference and job.guide:
            job.guide.park()
        return pixels.decode(job.resident.vae, latents, job.resident.key, tiled=job.plan.tiled)

    def _noisy(self, begun: Any, scheduler: Any, timesteps: torch.Tensor) -> torch.Tensor:
        like = self.job.encoded.prompt
        clean = pixels.drawn(self.job.resident.vae, begun, self.generator, like.dtype)
        added = noise(self.size, self.generator, like)
        noisy: torch.Tensor = scheduler.add_noise(clean, added, timesteps[:1])
        return noisy


def _conditioning(job: Job, size: Size) -> Conditioning:
    encoded, guidance = job.encoded, job.request.guidance
    prompts, pooled = encoded.prompt, encoded.pooled
    guided = encoded.negative is not None and encoded.negative_pooled is not None
    if encoded.negative is not None and encoded.negative_pooled is not None:
        prompts = torch.cat([encoded.negative, prompts])
        pooled = torch.cat([encoded.negative_pooled, pooled])
    image = job.guide.embeddings(guided=guided) if job.guide else None
    return Conditioning(prompts, pooled, size, guidance, job.entry.guidance_rescale, image)
