"""One job from request to pictures. Imports torch; runs in the engine thread only."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from bot.engine import patches, pixels, prompt, sampling
from bot.engine.denoise import Conditioning, Estimate, denoise, noise
from bot.engine.environment import Place, is_out_of_memory
from bot.engine.hashing import HashBook
from bot.engine.hub import Hub
from bot.engine.memory import Plan, Profile, plan
from bot.engine.networks import NETWORKS, TEXT, ModelFiles
from bot.engine.owner import Owner, public
from bot.engine.patches import AdapterFile
from bot.engine.preview import Preview
from bot.engine.prompt import SDXL_LAYER, Encoded
from bot.engine.residency import Residency, Resident
from bot.engine.results import PaintedImage, Painting
from bot.engine.sources import Source, Sources
from bot.engine.weights import Shelf
from bot.errors import JobFailed
from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import GenerationRequest
from catalog import Catalog, ModelEntry

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """One request with everything found and decided."""

    request: GenerationRequest
    entry: ModelEntry
    resident: Resident
    plan: Plan
    report: Report
    check_stop: CheckStop
    preview: Preview | None


class Painter:
    """Paints one request after another with one resident model.

    profile: how much of the model may stay on the device.
    shelf: checkpoints in RAM. adapters_limit: bytes of parsed adapters to keep in RAM.
    new_preview: makes what shows a job while it is painted, or None when nobody looks.
    """

    def __init__(
        self,
        models_dir: Path,
        hashes_file: Path,
        place: Place,
        hub: Hub,
        *,
        profile: Profile,
        shelf: Shelf,
        adapters_limit: int,
        new_preview: Callable[[], Preview | None],
    ) -> None:
        self._place = place
        self._sources = Sources(models_dir, hub, half=place.dtype == torch.float16)
        self._hashes = HashBook(hashes_file)
        self._residency = Residency(place, shelf, self._hashes)
        self._library = patches.Library(adapters_limit)
        self._new_preview = new_preview
        self.profile = profile

    @property
    def loaded(self) -> str | None:
        resident = self._residency.resident
        return resident.key if resident else None

    @staticmethod
    def out_of_memory(error: BaseException) -> bool:
        """Whether `error` says that no memory was left."""
        return is_out_of_memory(error)

    def free(self) -> None:
        """Give the device's memory back; what is kept in RAM stays there."""
        self._residency.free()

    def paint(
        self,
        request: GenerationRequest,
        catalog: Catalog,
        report: Report,
        check_stop: CheckStop,
        profile: Profile,
    ) -> Painting:
        """See `Engine.paint`. After an unexpected exception call `free`."""
        self._place.demand()
        check_stop()
        model = Owner("model", request.model, report, check_stop)
        if request.model not in catalog.models:
            raise JobFailed("model.gone", model=request.model)
        entry = catalog.models[request.model]
        files = self._files(entry, model)
        worn = self._adapters(request, catalog, report, check_stop)
        checkpoint_weights, vae_weights = self._weigh(files, entry.vae_path, model)
        adapter_weights = tuple(self._weigh_adapter(path, owner) for path, owner in worn)

        chosen = plan(profile, request.width, request.height)
        at_once = TEXT if chosen.park_unet else NETWORKS
        resident = self._residency.bring(files, model, at_once)
        job = _Job(request, entry, resident, chosen, report, check_stop, self._new_preview())
        notices = self._put_on(job, worn)
        check_stop()
        images = []
        with torch.inference_mode():
            encoded = self._encode(job)
            for number in range(request.count):
                image, scheduler = self._paint_one(job, number, encoded)
                images.append(image)
        recipe = Recipe(
            request=request,
            checkpoint=checkpoint_weights,
            vae=vae_weights,
            adapters=adapter_weights,
            scheduler=sampling.describe(scheduler),
            environment={**self._place.describe(), **_described(profile, job.plan)},
        )
        return Painting(tuple(images), recipe, notices)

    def prefetch(self, request: GenerationRequest, catalog: Catalog) -> None:
        """Read the adapters of a waiting job from disk; from any thread.

        Nothing is downloaded, and nothing happens before the first model told its names. Raises
        JobFailed where the job itself would.
        """
        known = self._residency.targets
        for use in request.adapters if known else ():
            entry = catalog.adapters.get(use.key)
            path = self._sources.adapter_here(entry) if entry else None
            if path:
                owner = Owner("adapter", use.key, lambda _: None, lambda: None)
                self._library.get(path, known, owner)

    def _files(self, entry: ModelEntry, owner: Owner) -> ModelFiles:
        checkpoint = self._sources.checkpoint(entry, owner)
        return ModelFiles(
            checkpoint,
            self._sources.vae(entry, owner),
            self._sources.config(entry, owner) if checkpoint.single else None,
        )

    def _adapters(
        self, request: GenerationRequest, catalog: Catalog, report: Report, check_stop: CheckStop
    ) -> list[tuple[Path, Owner]]:
        found = []
        for use in request.adapters:
            if use.key not in catalog.adapters:
                raise JobFailed("adapter.gone", adapter=use.key)
            owner = Owner("adapter", use.key, report, check_stop)
            found.append((self._sources.adapter(catalog.adapters[use.key], owner), owner))
        return found

    def _weigh(
        self, files: ModelFiles, vae_path: str | None, owner: Owner
    ) -> tuple[Weights, Weights | None]:
        checkpoint = self._digest(files.checkpoint, owner)
        vae = self._digest(files.vae, owner) if files.vae else None
        return (
            Weights(owner.key, checkpoint, checkpoint[:10]),
            Weights(public(str(vae_path)), vae, vae[:10]) if vae else None,
        )

    def _digest(self, source: Source, owner: Owner) -> str:
        def tick(fraction: float) -> None:
            owner.tick(Stage.LOADING, fraction)

        if source.single:
            return self._hashes.of_file(source.single, tick)
        return self._hashes.of_files(source.root, source.files, tick)

    def _weigh_adapter(self, path: Path, owner: Owner) -> Weights:
        def tick(fraction: float) -> None:
            owner.tick(Stage.ADAPTERS, fraction)

        header = patches.check_header(path, owner)
        whole = self._hashes.of_file(path, tick)
        data = self._hashes.of_data(path, header.data_start, tick)
        return Weights(owner.key, whole, data[:12])

    def _put_on(self, job: _Job, worn: Sequence[tuple[Path, Owner]]) -> tuple[Notice, ...]:
        """Make these adapters, in this order, the ones on the model."""
        read: list[AdapterFile] = []
        for path, owner in worn:
            owner.tick(Stage.ADAPTERS, 0.0)
            read.append(self._library.get(path, job.resident.targets, owner))
        sets = [
            (use.weight, use.weight if use.text_weight is None else use.text_weight, file.changes)
            for use, file in zip(job.request.adapters, read, strict=True)
        ]
        job.resident.wear(sets)
        job.resident.wake(job.check_stop, *TEXT)
        if not job.plan.park_unet:
            job.resident.wake(job.check_stop, "unet")
        return tuple(
            Notice(
                "adapter.partial",
                {"adapter": owner.key, "matched": file.matched, "total": file.total},
            )
            for file, (_, owner) in zip(read, worn, strict=True)
            if file.matched < file.total
        )

    def _encode(self, job: _Job) -> Encoded:
        depth = prompt.deepest_clip_skip(job.resident)
        if (job.request.clip_skip or SDXL_LAYER) > depth:
            raise JobFailed("model.clip_skip", model=job.resident.key, max=depth)
        # Guidance 1.0 is the prompt alone: the negative one would never be looked at.
        negative = job.request.negative if job.request.guidance > 1.0 else None
        encoded = prompt.encode(
            job.resident, job.request.painted_prompt, negative, job.request.clip_skip
        )
        if job.plan.park_text_encoders:
            job.resident.park(*TEXT)
        return encoded

    def _paint_one(self, job: _Job, number: int, encoded: Encoded) -> tuple[PaintedImage, Any]:
        """Image `number`, counted from 0, alone in its batch; and the scheduler that made it."""
        request = job.request
        here = Progress(Stage.PAINTING, steps=request.steps, image=number + 1, count=request.count)
        job.report(here)
        scheduler = sampling.build(request.scheduler, job.resident.scheduler_config, request.steps)
        order = scheduler.order

        def step_done(evaluation: int, estimate: Estimate) -> None:
            job.check_stop()
            # Heun looks twice at each step
            step = (evaluation - 1) // order + 1
            unfinished = step < request.steps
            preview = job.preview.of(estimate) if job.preview and unfinished else None
            job.report(replace(here, step=step, preview=preview))

        seed = request.image_seed(number)
        generator = torch.Generator("cpu").manual_seed(seed)
        job.resident.wake(job.check_stop, "unet", "vae")
        scheduler.set_timesteps(request.steps, device=self._place.device)
        size = (request.width, request.height)
        latents = denoise(
            job.resident.unet,
            scheduler,
            scheduler.timesteps,
            noise(size, generator, encoded.prompt) * scheduler.init_noise_sigma,
            _conditioning(encoded, size, request.guidance),
            generator,
            step_done,
        )
        job.check_stop()
        job.report(replace(here, stage=Stage.DECODING, step=request.steps))
        if job.plan.park_unet:
            job.resident.park("unet")
        image = pixels.decode(job.resident.vae, latents, job.resident.key, tiled=job.plan.tiled)
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        return PaintedImage(seed, image, digest), scheduler


def _conditioning(encoded: Encoded, size: tuple[int, int], guidance: float) -> Conditioning:
    prompts, pooled = encoded.prompt, encoded.pooled
    if encoded.negative is not None and encoded.negative_pooled is not None:
        prompts = torch.cat([encoded.negative, prompts])
        pooled = torch.cat([encoded.negative_pooled, pooled])
    return Conditioning(prompts, pooled, size, guidance)


def _described(profile: Profile, chosen: Plan) -> dict[str, str]:
    tiled: Literal["tiled", "whole"] = "tiled" if chosen.tiled else "whole"
    return {"memory": profile.value, "decoding": tiled}
