"""Diffusers' own pipelines, loaded as its documentation says, and one image from them.

None asks a hub: everything is read from the folder.
"""

from pathlib import Path
from typing import Any

import torch

from bot.request import GenerationRequest
from tools.untrained import anima as untrained_anima


def stable_diffusion(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    pipeline = _loaded(StableDiffusionPipeline, folder, dtype, safety_checker=None)
    # Its own one evaluates the UNet once more than there are steps.
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    return pipeline


def klein(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import Flux2KleinPipeline

    return _loaded(Flux2KleinPipeline, folder, dtype)


def z_image(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import ZImagePipeline

    return _loaded(ZImagePipeline, folder, dtype)


def krea2(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import Krea2Pipeline

    return _loaded(Krea2Pipeline, folder, dtype)


def anima(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import ModularPipeline
    from diffusers.models.transformers import transformer_cosmos

    if not hasattr(transformer_cosmos, "transforms"):  # torchvision, which is not imported here
        transformer_cosmos.transforms = untrained_anima.transforms()
    pipeline = ModularPipeline.from_pretrained(str(folder), local_files_only=True)
    pipeline.load_components(dtype=dtype, local_files_only=True)
    return pipeline


def chroma(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import ChromaPipeline

    return _loaded(ChromaPipeline, folder, dtype)


def flux(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import FluxPipeline

    return _loaded(FluxPipeline, folder, dtype)


def _loaded(kind: Any, folder: Path, dtype: torch.dtype, **more: Any) -> Any:
    return kind.from_pretrained(folder, dtype=dtype, local_files_only=True, **more)


def paint_stable_diffusion(pipeline: Any, request: GenerationRequest) -> Any:
    return _first(
        pipeline, request, negative_prompt=request.negative, guidance_scale=request.guidance
    )


def paint_klein(pipeline: Any, request: GenerationRequest) -> Any:
    return _first(pipeline, request, guidance_scale=request.guidance)


def paint_z_image(pipeline: Any, request: GenerationRequest) -> Any:
    # It counts guidance from 0.
    return _first(pipeline, request, guidance_scale=request.guidance - 1)


def paint_krea2(pipeline: Any, request: GenerationRequest) -> Any:
    # It counts guidance from 0.
    return _first(pipeline, request, guidance_scale=request.guidance - 1)


def paint_anima(pipeline: Any, request: GenerationRequest) -> Any:
    from diffusers import ClassifierFreeGuidance

    guider = ClassifierFreeGuidance(guidance_scale=request.guidance)
    pipeline.update_components(guider=guider)
    return _first(pipeline, request, negative_prompt=request.negative)


def paint_chroma(pipeline: Any, request: GenerationRequest) -> Any:
    return _first(
        pipeline, request, negative_prompt=request.negative, guidance_scale=request.guidance
    )


def paint_flux(pipeline: Any, request: GenerationRequest) -> Any:
    return _first(pipeline, request, guidance_scale=request.guidance)


def _first(pipeline: Any, request: GenerationRequest, **more: Any) -> Any:
    return pipeline(
        prompt=request.prompt,
        num_inference_steps=request.steps,
        width=request.width,
        height=request.height,
        generator=torch.Generator("cpu").manual_seed(request.seed),
        **more,
    ).images[0]
