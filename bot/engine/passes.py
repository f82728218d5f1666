"""The passes that make one image: denoise and decode; enlarge and denoise once more.

Imports torch; runs in the engine thread only.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import PIL
import PIL.Image
import torch

from bot.engine import pixels, sampling, seamless
from bot.engine.controls import Followings
from bot.engine.denoise import Estimate, Guidance, Keep, Weighted, denoise, keep_nothing, noise
from bot.engine.detector import Finder
from bot.engine.families import VAE, Conditioning, Encoded, Recall
from bot.engine.inpainting import Kept
from bot.engine.kernels import KernelChoice, Shape
from bot.engine.learned import Learned
from bot.engine.memory import Plan, Profile
from bot.engine.preview import Preview
from bot.engine.reference import Guide
from bot.engine.regions import Region, off_edges
from bot.engine.residency import Resident
from bot.engine.weights.formats import told
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.recipe import Found
from bot.request import GenerationRequest
from bot.request.editing import Turn
from bot.request.parts import DETAIL_PADDING
from bot.request.variation import weights
from catalog.weight_files.prediction import Training

Size = tuple[int, int]
"""Width and height in pixels."""
EncodedTurns = tuple[tuple[int, Encoded], ...]
"""From which step of a pass on, counted from 0 where it begins, the prompts are which."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request with everything found, decided and encoded.

    training: how the model was trained.
    encoded: the prompts of each image, for each pass; those of a single one if all images have the
        same.
    begun: the distribution of the initial image's latents. kept: what is kept of
        it. guide: the reference image. controls: the images that ControlNets follow. finder: of
        what is to be painted again.
    references: what the family made of the images to edit; None without any.
    kernels: the ways to run the denoiser, and which were used.
    preview: None when previews are off.
    """

    request: GenerationRequest
    training: Training
    resident: Resident
    plan: Plan
    device: str
    dtype: torch.dtype
    encoded: tuple[tuple[EncodedTurns, ...], ...]
    guidance: Guidance
    begun: Any | None
    kept: Kept | Region | None
    guide: Guide | None
    controls: Followings | None
    finder: Finder | None
    references: Any | None
    kernels: KernelChoice
    preview: Preview | None
    report: Callable[[Progress], None]
    check_stop: Callable[[], None]

    @property
    def wraps(self) -> bool:
        """Whether opposite edges are to meet: those of the image, not of a part cut out of it."""
        return self.request.tile and not isinstance(self.kept, Region)


def encoded_passes(
    model: Resident,
    request: GenerationRequest,
    learned: Sequence[Learned],
    recall: Recall,
    *,
    guided: bool,
) -> tuple[EncodedTurns, ...]:
    """The prompts of each pass, encoded; see `Family.encode`. Passes with the same share them."""

    @cache
    def encoded(turns: tuple[Turn, ...]) -> EncodedTurns:
        each = model.family.encode(model, request, turns, learned, recall, guided=guided)
        return tuple(zip([turn.first for turn in turns], each, strict=True))

    return tuple(map(encoded, request.turns))


def encoded_images(
    model: Resident,
    request: GenerationRequest,
    learned: Sequence[Learned],
    recall: Recall,
    *,
    guided: bool,
) -> tuple[tuple[EncodedTurns, ...], ...]:
    """The same for each image, or only one where all have the same prompts."""
    return tuple(
        encoded_passes(model, request.alone(n), learned, recall, guided=guided)
        for n in range(len(request.prompts))
    )


def paint_image(prepared: Prepared, number: int) -> tuple[PaintedImage, Any, tuple[Found, ...]]:
    """Generate image `number`, counted from 0, in a batch of 1; returns it, its scheduler, and what
    of it was found and painted again."""
    request, init = prepared.request, prepared.request.init_image
    here = Progress(Stage.PAINTING, image=number + 1, count=request.count)
    generators = generators_of(request.alone(number))
    size = (request.width, request.height)
    taken = request.steps if init is None else sampling.taken(request.steps, init.strength)
    encoded = prepared.encoded[number if len(prepared.encoded) > 1 else 0]
    first = replace(here, steps=taken)
    pass_ = Pass(prepared, encoded[0], size, request.steps, taken, generators, first)
    latents, scheduler = pass_.denoised(prepared.begun)
    image = pass_.decoded(latents)
    if prepared.kept is not None:
        image = prepared.kept.over(image)
    if request.hires is not None:
        size, taken = request.final_size, request.hires.taken
        image = image.resize(size, PIL.Image.Resampling.LANCZOS)
        begun = pixels.distribution(
            prepared.resident.family,
            prepared.resident.vae,
            image,
            tiled=prepared.plan.tiled,
            wraps=request.tile,
        )
        here = replace(here, larger=True, steps=taken)
        pass_ = Pass(prepared, encoded[1], size, request.hires.steps, taken, generators, here)
        latents, scheduler = pass_.denoised(begun)
        image = pass_.decoded(latents)
    image, found = detailed(prepared, number, image)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return PaintedImage(request.image_seed(number), image, digest), scheduler, found


def detailed(
    prepared: Prepared, number: int, image: PIL.Image.Image
) -> tuple[PIL.Image.Image, tuple[Found, ...]]:
    """The finished image `number`, counted from 0, with what its request wants found painted again,
    each part at the size of the first pass; and these parts, in that order.

    The first part has the noise of the image's own seed, and each further one that of the next
    seed, as further images of a request have.
    """
    request = prepared.request
    if prepared.finder is None or not request.detail:
        return image, ()
    own, size = request.alone(number), (request.width, request.height)
    encoded = prepared.encoded[number if len(prepared.encoded) > 1 else 0]
    strengths = {use.word: use.strength for use in request.detail}
    parts = prepared.finder.found(image, tuple(strengths))
    for n, (word, box) in enumerate(parts):
        strength = strengths[word]
        taken = sampling.taken(request.steps, strength)
        here = Progress(
            Stage.PAINTING,
            image=number + 1,
            count=request.count,
            steps=taken,
            part=n + 1,
            parts=len(parts),
        )
        # Where opposite edges are to meet, they stay as they are.
        inner = off_edges(box, image.size) if request.tile else box
        if inner is None:
            continue
        mask = PIL.Image.new("L", image.size)
        corner = (inner.left + inner.width, inner.top + inner.height)
        mask.paste(255, (inner.left, inner.top, *corner))
        region = Region.of(image, mask, DETAIL_PADDING, size, strength)
        controls = prepared.controls and prepared.controls.within(region)
        generators = generators_of(replace(own, seed=own.image_seed(n)))
        # What is unfinished would be seen of the part alone, in place of the image.
        over = replace(prepared, kept=region, controls=controls, preview=None)
        pass_ = Pass(over, encoded[0], size, request.steps, taken, generators, here)
        latents, _ = pass_.denoised(begun(prepared, region.image))
        image = region.over(pass_.decoded(latents))
    seed = request.image_seed(number)
    return image, tuple(Found(seed, word, box) for word, box in parts)


def begun(prepared: Prepared, image: PIL.Image.Image) -> Any:
    """The distribution of the latents that a further pass over an image begins with."""
    resident = prepared.resident
    if prepared.plan.park_denoiser:
        resident.park(resident.family.denoiser)
    resident.wake(prepared.check_stop, VAE)
    return pixels.distribution(resident.family, resident.vae, image, tiled=prepared.plan.tiled)


def generators_of(request: GenerationRequest) -> tuple[Weighted, ...]:
    """The generator of the first image, then those whose noise is mixed into its own."""
    return tuple(
        (torch.Generator("cpu").manual_seed(seed), weight)
        for seed, weight in weights(request.base_seed, request.mixes).items()
    )


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: the last `taken` of `steps` steps, at `size`.

    generators: of the noise. From the first come the steps' own draws and the VAE's, too.
    """

    prepared: Prepared
    encoded: EncodedTurns
    size: Size
    steps: int
    taken: int
    generators: Sequence[Weighted]
    here: Progress

    @property
    def generator(self) -> torch.Generator:
        return self.generators[0][0]

    def denoised(self, begun: Any | None) -> tuple[torch.Tensor, Any]:
        """Clean latents, and the scheduler that was used.

        begun: the distribution of the latents that noise is added to; None for noise alone.
        """
        prepared, resident = self.prepared, self.prepared.resident
        family = resident.family
        prepared.report(self.here)
        trained = sampling.trained(prepared.training)
        scheduler = sampling.build(prepared.request.scheduler, trained, self.steps)
        request = prepared.request
        sampling.set_steps(
            scheduler,
            request.scheduler,
            self.steps,
            request.spacing,
            prepared.device,
            family.ays,
            family.timesteps(prepared.training, self.size, self.steps),
        )
        order = scheduler.order

        def step_done(evaluation: int, estimate: Estimate) -> None:
            prepared.check_stop()
            # Heun evaluates the denoiser twice per step.
            step = (evaluation - 1) // order + 1
            unfinished = step < self.taken
            preview = None
            if prepared.preview and unfinished:
                preview = prepared.preview.of(
                    lambda: family.previewed(resident.vae, estimate()), family.preview
                )
            prepared.report(replace(self.here, step=step, preview=preview))

        timesteps = scheduler.timesteps
        keep: Keep = keep_nothing
        if begun is None:
            latents = self._noise() * sampling.initial_scale(scheduler)
        else:
            timesteps = sampling.skip_to(scheduler, self.steps - self.taken)
            clean = pixels.drawn(family, resident.vae, begun, self.generator, prepared.dtype)
            own = self._noise()
            latents = sampling.noisy(scheduler, clean, own, timesteps)
            if prepared.kept is not None:
                keep = prepared.kept.keep(scheduler, timesteps, clean, own)
        resident.wake(prepared.check_stop, family.denoiser, VAE)
        image = prepared.references
        if prepared.guide:
            image = prepared.guide.embeddings(guided=prepared.guidance.on)
        conditioning_at = self._conditioning(image)
        denoiser = resident.denoiser
        attached = (
            prepared.guide.attached(denoiser, prepared.check_stop)
            if prepared.guide
            else nullcontext()
        )
        with attached, seamless.wrapping(prepared.wraps):
            latents = denoise(
                self._denoiser(conditioning_at(0), order),
                scheduler,
                timesteps,
                latents,
                conditioning_at,
                prepared.guidance,
                self.generator,
                step_done,
                keep,
            )
        return latents, scheduler

    def _conditioning(self, image: list[torch.Tensor] | None) -> Callable[[int], Conditioning]:
        """The conditioning at each step that is run, counted from 0."""
        family = self.prepared.resident.family
        firsts = [first for first, _ in self.encoded]

        @lru_cache(maxsize=1)
        def of(turn: int) -> Conditioning:
            _, encoded = self.encoded[turn]
            return family.condition(encoded, self.size, image)

        return lambda step: of(bisect_right(firsts, step) - 1)

    def _denoiser(self, conditioning: Conditioning, order: int) -> Callable[..., Any]:
        """What to call at each evaluation. order: evaluations of a step."""
        prepared = self.prepared
        shape = Shape(conditioning.rows, conditioning.tokens, *self.size)
        plain = prepared.kernels.of(shape)
        if prepared.controls is None:
            return plain
        return prepared.controls.controlled(
            plain, self.size, self.taken, order, prepared.check_stop
        )

    def _noise(self) -> torch.Tensor:
        prepared = self.prepared
        shape = prepared.resident.family.latent_shape(self.size)
        return noise(shape, self.generators, prepared.device, prepared.dtype)

    def decoded(self, latents: torch.Tensor) -> PIL.Image.Image:
        prepared = self.prepared
        prepared.check_stop()
        prepared.report(replace(self.here, stage=Stage.DECODING, step=self.taken))
        resident, family = prepared.resident, prepared.resident.family
        if prepared.plan.park_denoiser:
            resident.park(family.denoiser)
        if prepared.plan.park_reference and prepared.guide:
            prepared.guide.park()
        if prepared.controls and len(prepared.controls.each) > prepared.plan.controls_stay:
            prepared.controls.park()
        return pixels.decode(
            family,
            resident.vae,
            latents,
            resident.key,
            tiled=prepared.plan.tiled,
            wraps=prepared.wraps,
        )


def described(profile: Profile, prepared: Prepared, usual: torch.dtype) -> dict[str, str]:
    """What the bits depend on in addition to the request, the engine and the `Place`.

    usual: the dtype of the place, which networks may differ from.
    """
    facts = {
        "memory": profile.value,
        "decoding": "tiled" if prepared.plan.tiled else "whole",
        "kernels": prepared.kernels.used,
        "noise": f"torch.Generator cpu {str(prepared.dtype).removeprefix('torch.')}",
    }
    facts |= told({name: part.formats for name, part in prepared.resident.parts.items()}, usual)
    if prepared.controls:
        facts |= prepared.controls.facts
    if prepared.guidance.rescale:
        facts["guidance_rescale"] = f"{prepared.guidance.rescale:g}"
    if prepared.request.inputs or prepared.request.hires:
        facts["pillow"] = PIL.__version__  # which scales the images
    return facts
