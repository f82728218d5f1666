"""Answers in AUTOMATIC1111's form. Pure functions."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot import __version__
from bot.api.automatic.bodies import Img2Img, Txt2Img
from bot.api.automatic.units import without_images
from bot.api.describing import asked_seeds, eta, share
from bot.files.metadata import IMAGEN, PngMetadata, infotext
from bot.progress import Progress, Stage
from bot.request import CONTROLS_MAX, GenerationRequest
from bot.request.dialects.infotext import (
    AREA,
    CONTROL_UNIT,
    DETAIL,
    MASK_MODE,
    PADDING,
    TILING,
    parse_infotext,
)
from bot.store import ImageRecord, Job

IDLE: Final[Mapping[str, Any]] = {
    "skipped": False,
    "interrupted": False,
    "stopping_generation": False,
    "job": "",
    "job_count": 0,
    "job_timestamp": "0",
    "job_no": 0,
    "sampling_step": 0,
    "sampling_steps": 0,
}
"""The state of a caller without a job."""
_SENT: Final = ("init_images", "mask", "latent_mask")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job that has ended well. warnings: sentences."""

    job: Job
    images: Sequence[ImageRecord]
    warnings: Sequence[str]


def parameters(body: Txt2Img | Img2Img, job: Job) -> dict[str, Any]:
    """The request as it was understood: with the values that were used for those not sent.

    Fields that are not known are left out, as there: some clients send a password with them.
    """
    known = body.model_dump(exclude=set(body.model_extra or {}))
    request = job.request
    used = {
        "negative_prompt": request.negative,
        "sampler_name": request.scheduler,
        "steps": request.steps,
        "cfg_scale": request.guidance,
        "width": request.width,
        "height": request.height,
        "tiling": request.tile,
    }
    known |= {name: value for name, value in used.items() if known[name] is None}
    if known["alwayson_scripts"]:
        known["alwayson_scripts"] = without_images(known["alwayson_scripts"])
    if isinstance(body, Img2Img) and not body.include_init_images:
        known |= dict.fromkeys(_SENT)
    return known


def info(body: Txt2Img | Img2Img, outcome: Outcome) -> str:
    """The field `info`: JSON."""
    job, images = outcome.job, outcome.images
    request, recipe = job.request, job.recipe
    texts = [infotext(recipe, image.seed) for image in images] if recipe else []
    settings = parse_infotext(texts[0]).settings if texts else {}
    denoised = request.init_image or request.hires
    shown = (
        *("Schedule type", "Variation seed", "Variation seed strength"),
        *("Hires upscale", "Hires steps", MASK_MODE, TILING, AREA, PADDING),
        *(DETAIL, "Lora hashes", "TI hashes"),
        *(CONTROL_UNIT.format(number) for number in range(CONTROLS_MAX)),
    )
    prompts, negatives = _texts(body, request, [image.seed for image in images])
    described = {
        "prompt": (prompts or [body.prompt or ""])[0],
        "all_prompts": prompts,
        "negative_prompt": request.negative,
        "all_negative_prompts": negatives,
        "seed": request.base_seed,
        "all_seeds": [asked_seeds(request, image.seed)["seed"] for image in images],
        "subseed": request.seed,
        "all_subseeds": [image.seed for image in images],
        "subseed_strength": request.variation.strength if request.variation else 0,
        "width": request.width,
        "height": request.height,
        "sampler_name": settings.get("Sampler", request.scheduler),
        "cfg_scale": request.guidance,
        "steps": request.steps,
        "batch_size": 1 if body.batch_size is None else body.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": request.model,
        "sd_model_hash": recipe.checkpoint.short if recipe and recipe.checkpoint else None,
        "sd_vae_name": settings.get("VAE"),
        "sd_vae_hash": settings.get("VAE hash"),
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": denoised.strength if denoised else None,
        "extra_generation_params": {name: settings[name] for name in shown if name in settings},
        "index_of_first_image": 0,
        "infotexts": texts,
        "styles": [],
        "job_timestamp": _timestamp(job),
        "clip_skip": request.clip_skip or 1,
        "is_using_inpainting_conditioning": False,
        "version": f"imagen {__version__}",
        "job_id": job.id,
        "warnings": list(outcome.warnings),
    }
    return json.dumps(described)


def _texts(
    body: Txt2Img | Img2Img, request: GenerationRequest, seeds: Sequence[int]
) -> tuple[list[str], list[str]]:
    """The prompt and the negative prompt of each image: as sent, unless they were drawn."""
    each = [request.of_seed(seed) for seed in seeds]
    drawn = request.template is not None and request.template.prompt is not None
    prompts = [one.prompt if drawn else body.prompt or "" for one in each]
    return prompts, [one.negative for one in each]


def progress(jobs: Sequence[tuple[Job, Progress | None]], preview: str | None) -> dict[str, Any]:
    """The answer to `GET /progress`. jobs: the caller's, the first one now. preview: in base64."""
    if not jobs:
        return _progress(0.0, 0, IDLE, None)
    job, now = jobs[0]
    running = now is not None and now.stage is not Stage.QUEUED
    state = {
        **IDLE,
        "job": "scripts_img2img" if job.request.init_image else "scripts_txt2img",
        "job_count": sum(each.request.images for each, _ in jobs),
        "job_timestamp": _timestamp(job),
        "job_no": now.image - 1 if now and running else 0,
        "sampling_step": now.step if now and running else 0,
        "sampling_steps": (now.steps if now and running else 0) or job.request.steps,
    }
    return _progress(share(job, now), eta(now) or 0, state, preview)


def _progress(
    done: float, seconds: float, state: Mapping[str, Any], preview: str | None
) -> dict[str, Any]:
    return {
        "progress": done,
        "eta_relative": float(seconds),
        "state": dict(state),
        "current_image": preview,
        "textinfo": None,
    }


def png_info(metadata: PngMetadata) -> dict[str, Any]:
    """The answer to `POST /png-info`."""
    items = {}
    if metadata.recipe is not None:
        data = {"seed": metadata.seed, "recipe": metadata.recipe.to_dict()}
        items[IMAGEN] = json.dumps(data, sort_keys=True, separators=(",", ":"))
    if (text := metadata.parameters) is None:
        return {"info": "", "items": items, "parameters": {}}
    read = parse_infotext(text)
    found = {"Prompt": read.prompt, "Negative prompt": read.negative, **read.settings}
    if "x" in (size := read.settings.get("Size", "")):
        found["Size-1"], _, found["Size-2"] = size.partition("x")
    return {"info": text, "items": items, "parameters": found}


def memory(total: int, used: int, gpu: Mapping[str, int]) -> dict[str, Any]:
    """The answer to `GET /memory`. total, used: bytes of RAM; used: by this process."""
    ram = {"free": max(0, total - used), "used": used, "total": total}
    if not gpu:
        return {"ram": ram, "cuda": {"error": "unavailable"}}
    free, whole = gpu.get("free", 0), gpu.get("total", 0)
    return {
        "ram": ram,
        "cuda": {
            "system": {"free": free, "used": whole - free, "total": whole},
            "allocated": {"current": gpu.get("allocated", 0)},
            "reserved": {"current": gpu.get("reserved", 0)},
        },
    }


def _timestamp(job: Job) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.localtime(job.created_at / 1000))
