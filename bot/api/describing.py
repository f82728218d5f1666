"""Descriptions: jobs, images and catalog entries as JSON. Pure functions."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any, Final

from bot.progress import Notice, Progress, Stage
from bot.recipe import Recipe
from bot.request import MASKED, AdapterUse, GenerationRequest, InitImage
from bot.store import Failure, ImageRecord, Job, JobState, cell_of_image, shown_warnings
from bot.texts.language import Say

STATUS: Final[Mapping[JobState, str]] = {
    JobState.PENDING: "queued",
    JobState.RUNNING: "running",
    JobState.DONE: "running",  # for a moment: its files are being recorded
    JobState.DELIVERED: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


DETAILED: Final = 0.8
"""How much of an image is done when parts of it begin to be painted again."""


def eta(progress: Progress | None, now: float | None = None) -> int | None:
    """Seconds until a job will probably be ready; None if unknown."""
    if progress is None or progress.ready_at is None:
        return None
    return max(0, round(progress.ready_at - (time.time() if now is None else now)))


def share(job: Job, progress: Progress | None) -> float:
    """How much of a job's steps is done, from 0 to 1: less at no later report of painting."""
    if job.state is JobState.DELIVERED:
        return 1.0
    if progress is None or not progress.count:
        return 0.0
    match progress.stage:
        case Stage.SAVING | Stage.RECEIVING:
            return 1.0
        case Stage.PAINTING | Stage.DECODING:
            begin, end = _span(job.request, progress)
            # A pass is decoded after its last step; of an enlarged image, each tile is.
            last = 1.0 if progress.stage is Stage.DECODING else 0.0
            within = progress.step / progress.steps if progress.steps else last
            of_image = begin + (end - begin) * within
        case _:
            return 0.0
    return round(min(1.0, (progress.image - 1 + of_image) / progress.count), 4)


def _span(request: GenerationRequest, progress: Progress) -> tuple[float, float]:
    """From where to where the pass that is reported leads, as shares of its image."""
    whole = DETAILED if request.detail else 1.0
    if progress.part:
        each = (1 - whole) / max(1, progress.parts)
        return whole + each * (progress.part - 1), whole + each * progress.part
    if progress.larger:
        return whole / 2, whole
    return 0.0, whole / 2 if request.hires else whole


def status(
    job: Job, progress: Progress | None, images: Sequence[ImageRecord], say: Say
) -> dict[str, Any]:
    """The body of `GET /status/{job_id}`."""
    waiting = job.state is JobState.PENDING
    place = progress if progress and progress.stage is Stage.QUEUED else None
    done = job.request.steps if job.state is JobState.DELIVERED else 0
    return {
        "job_id": job.id,
        "status": STATUS[job.state],
        "position": place.position if place and waiting else None,
        "progress": share(job, progress),
        "step": progress.step if progress else done,
        "steps": (progress.steps if progress else 0) or job.request.steps,
        "stage": progress.stage.value if progress else None,
        "eta": eta(progress),
        "lane": None if waiting else job.lane,
        "larger_gpu": place is not None and place.larger_gpu,
        "error": job.error and say(job.error.code, **job.error.params),
        "images": [image_entry(job, image) for image in images],
        "words": job.words,
        "warnings": [say(notice.code, **notice.params) for notice in shown_warnings(job)],
        "metadata": metadata(job.recipe, job.request.seed) if job.recipe else None,
    }


def record(job: Job, images: Sequence[ImageRecord], say: Say) -> dict[str, Any]:
    """A job with all that its caller may want to keep: how to generate the same again, and codes
    for its warnings and its error beside the sentences."""
    return {
        "job_id": job.id,
        "status": STATUS[job.state],
        "model": job.request.made_with,
        "seconds": job.seconds,
        "images": [
            {
                "url": image_url(job.id, image.n + 1),
                "file": PurePath(image.path).name,
                **_which(job.request, image),
                "width": image.width,
                "height": image.height,
                "sha256": image.sha256,
            }
            for image in images
        ],
        "words": job.words,
        "recipe": job.recipe.to_dict() if job.recipe else None,
        "warnings": [_told(notice, say) for notice in shown_warnings(job)],
        "error": _told(job.error, say) if job.error else None,
    }


def _told(what: Notice | Failure, say: Say) -> dict[str, Any]:
    return {**asdict(what), "text": say(what.code, **what.params)}


def image_entry(job: Job, image: ImageRecord) -> dict[str, Any]:
    return {
        "url": image_url(job.id, image.n + 1),
        **_which(job.request, image),
        "width": image.width,
        "height": image.height,
        "bytes": image.bytes,
        "sha256": image.sha256,
        "available": image.pruned_at is None,
    }


def _which(request: GenerationRequest, image: ImageRecord) -> dict[str, Any]:
    """What tells an image from the others of its job: the seed, and in a comparison what varies."""
    if request.comparison is None:
        return asked_seeds(request, image.seed)
    if (cell := cell_of_image(request, image.n)) is None:
        return {**asked_seeds(request, image.seed), "cell": None}
    return {**asked_seeds(cell.request, image.seed), "cell": list(cell.values)}


def image_url(job_id: str, n: int) -> str:
    """Relative to the server's root. n: counted from 1."""
    return f"/image/{job_id}/{n}"


def asked_seeds(request: GenerationRequest, seed: int) -> dict[str, Any]:
    """How to ask for the image with this seed: of a variation, the seed that it varies, and what is
    mixed into the noise of that."""
    if request.variation is None:
        return {"seed": seed}
    return {"seed": request.base_seed, "variation": request.of_seed(seed).mixed_in}


def metadata(recipe: Recipe, seed: int) -> dict[str, Any]:
    """How an image was generated, without its prompts. seed: that of the image."""
    request = recipe.request
    named = (recipe.checkpoint, *recipe.adapters, recipe.upscaler, *recipe.controls)
    hashes = {weights.name: weights.sha256 for weights in named if weights}
    if recipe.vae:
        hashes["vae"] = recipe.vae.sha256
    if recipe.text_encoder:
        hashes["text_encoder"] = recipe.text_encoder.sha256
    if recipe.detector:
        hashes["[detector]"] = recipe.detector.sha256
    if recipe.describer:
        hashes["[describer]"] = recipe.describer.sha256
    if recipe.depth:
        hashes["[depth]"] = recipe.depth.sha256  # a key has no brackets
    if recipe.pose:
        hashes["[pose]"] = recipe.pose.sha256
    return {
        "model": request.made_with,
        "loras": [lora(use) for use in request.adapters],
        "steps": request.steps,
        "guidance_scale": request.guidance,
        **asked_seeds(request, seed),
        "width": request.width,
        "height": request.height,
        "size": f"{request.width}x{request.height}",
        "scheduler": request.scheduler,
        **_kept(request.init_image),
        **({"control": ", ".join(map(str, request.controls))} if request.controls else {}),
        **({"detail": ", ".join(map(str, request.detail))} if request.detail else {}),
        **_found(recipe, seed),
        **({"tile": True} if request.tile else {}),
        **_enlarged(request),
        **_compared(request),
        **({"style": request.describe.style} if request.describe else {}),
        "hashes": hashes,
    }


def _kept(init: InitImage | None) -> dict[str, Any]:
    """What says that a part of the image to start from was kept: nothing, where none was."""
    if init is None or not init.keeps:
        return {}
    extend = {} if init.box is None else {"extend": str(init.box)}
    area: dict[str, Any] = {}
    if init.area is not None:
        area = {"inpaint_area": MASKED, "inpaint_padding": init.area.padding}
    return {"strength": init.strength, "masked": init.mask is not None, **area, **extend}


def _found(recipe: Recipe, seed: int) -> dict[str, Any]:
    """The parts of the image with this seed that were painted again: nothing, where none was."""
    found = [
        {"word": each.word, "box": str(each.box)} for each in recipe.found if each.seed == seed
    ]
    return {"found": found} if found else {}


def _enlarged(request: GenerationRequest) -> dict[str, Any]:
    """How an image was enlarged: nothing, where none was."""
    if request.upscale is None:
        return {}
    upscale = request.upscale
    strength = {} if upscale.strength is None else {"strength": upscale.strength}
    return {
        "upscaler": upscale.upscaler,
        "scale": upscale.scale,
        "mode": upscale.mode,
        **strength,
    }


def _compared(request: GenerationRequest) -> dict[str, Any]:
    """What varies on a sheet, of whose first image all else is said: nothing, for other images."""
    if request.comparison is None:
        return {}
    return {"axes": [axis.name for axis in request.comparison.axes]}


def lora(use: AdapterUse) -> dict[str, Any]:
    described: dict[str, Any] = {"name": use.key, "weight": use.weight}
    if use.text_weight is not None:
        described["text_weight"] = use.text_weight
    return described
