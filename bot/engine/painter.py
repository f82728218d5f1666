"""One job from request to pictures. Imports torch; runs in the engine thread only."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from bot.engine import adapter_file, adapters, prompt, sampling
from bot.engine.environment import Place, is_out_of_memory
from bot.engine.hashing import HashBook
from bot.engine.hub import Hub
from bot.engine.owner import Owner, public
from bot.engine.prompt import SDXL_LAYER, Encoded
from bot.engine.residency import ModelFiles, Residency, Resident
from bot.engine.results import PaintedImage, Painting
from bot.engine.sources import Source, Sources
from bot.errors import JobFailed
from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import GenerationRequest
from catalog import Catalog

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]


class Painter:
    """Paints one request after another with one resident model."""

    def __init__(self, models_dir: Path, hashes_file: Path, place: Place, hub: Hub) -> None:
        self._place = place
        self._sources = Sources(models_dir, hub, half=place.dtype == torch.float16)
        self._hashes = HashBook(hashes_file)
        self._residency = Residency(place)

    @property
    def loaded(self) -> str | None:
        resident = self._residency.resident
        return resident.key if resident else None

    @staticmethod
    def out_of_memory(error: BaseException) -> bool:
        """Whether `error` says that no memory was left."""
        return is_out_of_memory(error)

    def free(self) -> None:
        """Drop the model and give its memory back."""
        self._residency.free()

    def paint(
        self, request: GenerationRequest, catalog: Catalog, report: Report, check_stop: CheckStop
    ) -> Painting:
        """See `Engine.paint`. After an unexpected exception call `free`."""
        self._place.demand()
        check_stop()
        model = self._owner("model", request.model, report, check_stop)
        if request.model not in catalog.models:
            raise JobFailed("model.gone", model=request.model)
        entry = catalog.models[request.model]
        owners = []
        for use in request.adapters:
            if use.key not in catalog.adapters:
                raise JobFailed("adapter.gone", adapter=use.key)
            owners.append(self._owner("adapter", use.key, report, check_stop))

        checkpoint = self._sources.checkpoint(entry, model)
        files = ModelFiles(
            checkpoint,
            self._sources.vae(entry, model),
            self._sources.config(entry, model) if checkpoint.single else None,
        )
        paths = [self._sources.adapter(catalog.adapters[o.key], o) for o in owners]
        checkpoint_weights, vae_weights = self._weigh(files, entry.vae_path, model)
        adapter_weights = tuple(
            self._weigh_adapter(path, owner) for path, owner in zip(paths, owners, strict=True)
        )

        resident = self._residency.bring(files, model)
        notices = self._put_on(resident, paths, owners)
        adapters.set_weights(resident.pipeline, [use.weight for use in request.adapters])
        check_stop()
        images = []
        with torch.inference_mode():
            encoded = self._encode(request, resident)
            for number in range(request.count):
                image, scheduler = self._paint_one(
                    request, number, encoded, resident, report, check_stop
                )
                images.append(image)
        recipe = Recipe(
            request=request,
            checkpoint=checkpoint_weights,
            vae=vae_weights,
            adapters=adapter_weights,
            scheduler=sampling.describe(scheduler),
            environment=self._place.describe(),
        )
        return Painting(tuple(images), recipe, tuple(notices))

    def _owner(self, kind: Any, key: str, report: Report, check_stop: CheckStop) -> Owner:
        return Owner(kind, key, report, check_stop)

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

        header = adapter_file.check_header(path, owner)
        whole = self._hashes.of_file(path, tick)
        data = self._hashes.of_data(path, header.data_start, tick)
        return Weights(owner.key, whole, data[:12])

    def _put_on(self, resident: Resident, paths: list[Path], owners: list[Owner]) -> list[Notice]:
        """Make the adapters of `paths`, in that order, the ones on the pipeline, at weight 1."""
        stats = [path.stat() for path in paths]
        wanted = tuple(
            (owner.key, str(path), stat.st_size, stat.st_mtime_ns)
            for owner, path, stat in zip(owners, paths, stats, strict=True)
        )
        if wanted == resident.adapters:
            return list(resident.notices)
        adapters.remove(resident.pipeline)
        resident.adapters, resident.notices = (), ()
        files, notices = [], []
        for path, owner in zip(paths, owners, strict=True):
            owner.tick(Stage.ADAPTERS, 0.0)
            file = adapter_file.read(path, resident.targets, owner)
            files.append(file.deltas)
            if len(file.deltas) < file.total:
                notices.append(
                    Notice(
                        "adapter.partial",
                        {"adapter": owner.key, "matched": len(file.deltas), "total": file.total},
                    )
                )
        try:
            adapters.apply(resident.pipeline, files)
        except BaseException:
            adapters.remove(resident.pipeline)
            raise
        resident.adapters, resident.notices = wanted, tuple(notices)
        return notices

    def _encode(self, request: GenerationRequest, resident: Resident) -> Encoded:
        depth = prompt.deepest_clip_skip(resident.pipeline)
        if (request.clip_skip or SDXL_LAYER) > depth:
            raise JobFailed("model.clip_skip", model=resident.key, max=depth)
        # Guidance 1.0 is the prompt alone: diffusers then never looks at the negative one.
        negative = request.negative if request.guidance > 1.0 else None
        return prompt.encode(resident.pipeline, request.painted_prompt, negative, request.clip_skip)

    def _paint_one(
        self,
        request: GenerationRequest,
        number: int,
        encoded: Encoded,
        resident: Resident,
        report: Report,
        check_stop: CheckStop,
    ) -> tuple[PaintedImage, Any]:
        """Image `number`, counted from 0, alone in its batch; and the scheduler that made it."""
        here = Progress(Stage.PAINTING, steps=request.steps, image=number + 1, count=request.count)
        pipeline = resident.pipeline
        pipeline.scheduler = sampling.build(
            request.scheduler, resident.scheduler_config, request.steps
        )
        order = pipeline.scheduler.order

        def step_done(_: Any, evaluation: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            check_stop()
            step = evaluation // order + 1  # Heun looks twice at each step
            report(replace(here, step=step))
            return tensors

        report(here)
        seed = request.image_seed(number)
        latents = pipeline(
            prompt_embeds=encoded.prompt,
            pooled_prompt_embeds=encoded.pooled,
            negative_prompt_embeds=encoded.negative,
            negative_pooled_prompt_embeds=encoded.negative_pooled,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="latent",
            callback_on_step_end=step_done,
        ).images
        check_stop()
        report(replace(here, stage=Stage.DECODING, step=request.steps))
        image = decode(pipeline, latents, resident.key)
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        return PaintedImage(seed, image, digest), pipeline.scheduler


def decode(pipeline: Any, latents: torch.Tensor, model: str) -> PIL.Image.Image:
    """Latents, shape (1, 4, height/8, width/8), to an RGB picture; JobFailed if it is black."""
    if not bool(latents.isfinite().all()):
        raise JobFailed("image.diverged", model=model)
    vae = pipeline.vae
    latents = latents.to(vae.dtype)
    if vae.config.latents_mean is not None and vae.config.latents_std is not None:
        mean, std = (
            torch.tensor(values, device=latents.device, dtype=latents.dtype).view(1, -1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        latents = latents * std / vae.config.scaling_factor + mean
    else:
        latents = latents / vae.config.scaling_factor
    pixels = vae.decode(latents, return_dict=False)[0]
    if not bool(pixels.isfinite().all()):
        raise JobFailed("image.not_finite", model=model)
    image: PIL.Image.Image = pipeline.image_processor.postprocess(pixels, output_type="pil")[0]
    if not image.getbbox():  # nothing but zeros
        raise JobFailed("image.black", model=model)
    return image
