"""Which model is in memory: loading it, keeping it, and really letting go of it."""

import gc
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bot.engine import adapter_names
from bot.engine.adapter_names import Target
from bot.engine.environment import Place, is_out_of_memory
from bot.engine.owner import Owner
from bot.engine.safetensors_file import NotSafetensors, read_header
from bot.engine.sources import Source, variant_of
from bot.errors import ImagenError
from bot.progress import Notice, Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Everything that a model is loaded from.

    vae: replaces the checkpoint's own. config: completes a single-file checkpoint.
    """

    checkpoint: Source
    vae: Source | None
    config: Source | None

    def fingerprint(self) -> tuple[Any, ...]:
        sources = (self.checkpoint, self.vae, self.config)
        return tuple(source and source.fingerprint() for source in sources)


@dataclass(slots=True)
class Resident:
    """A loaded model.

    pipeline: StableDiffusionXLPipeline on the device, in evaluation mode.
    scheduler_config: of the scheduler that the model was published with.
    targets: names of its modules for adapters. adapters: keys and fingerprints of those applied;
        notices: what there is to say about them.
    """

    key: str
    files: tuple[Any, ...]
    pipeline: Any
    scheduler_config: dict[str, Any]
    targets: dict[str, Target]
    adapters: tuple[Any, ...] = ()
    notices: tuple[Notice, ...] = ()


class Residency:
    """Holds at most one model."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.resident: Resident | None = None

    def bring(self, files: ModelFiles, owner: Owner) -> Resident:
        """The model made of `files`, loaded unless it is the one already here."""
        fingerprint = files.fingerprint()
        if self.resident and self.resident.files == fingerprint:
            self.resident.key = owner.key
            return self.resident
        self.free()
        owner.tick(Stage.LOADING, 0.0)
        try:
            pipeline = _load(files, self._place, owner)
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_out_of_memory(error):
                raise
            log.warning("Model %s cannot be loaded", owner.key, exc_info=True)
            raise owner.failed("unreadable", reason=type(error).__name__) from error
        root = (files.config or files.checkpoint).root
        text = (root / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")
        self.resident = Resident(
            owner.key, fingerprint, pipeline, json.loads(text), adapter_names.targets(pipeline)
        )
        return self.resident

    def free(self) -> None:
        """Drop the model and give its memory back."""
        self.resident = None
        gc.collect()
        self._place.empty_cache()


def _load(files: ModelFiles, place: Place, owner: Owner) -> Any:
    for source in (files.checkpoint, files.vae):
        for path in source.weights if source else ():
            try:
                names = read_header(path).shapes
            except NotSafetensors as error:
                raise owner.failed("not_safetensors", file=path.name, reason=str(error)) from None
            if path == files.checkpoint.single:
                _check_single(names, owner)
    described = (files.config or files.checkpoint).root
    vae = _load_vae(files.vae, described, place) if files.vae else None
    load = _load_single if files.checkpoint.single else _load_folder
    pipeline = load(files, place, vae, owner)
    unet = pipeline.unet.config
    if unet.addition_embed_type != "text_time" or unet.in_channels != 4:
        raise owner.failed("not_sdxl")
    pipeline.set_progress_bar_config(disable=True)
    # Stock SDXL VAEs overflow in 16 bits and say so in their configuration.
    if place.dtype == torch.float16 and pipeline.vae.config.force_upcast:
        pipeline.vae.to(torch.float32)
    return pipeline


def _check_single(names: dict[str, Any], owner: Owner) -> None:
    """An SDXL checkpoint in one file holds a UNet and two text encoders under these names."""
    for part in ("model.diffusion_model.", "conditioner.embedders.0.", "conditioner.embedders.1."):
        if not any(name.startswith(part) for name in names):
            raise owner.failed("not_sdxl")


def _load_folder(files: ModelFiles, place: Place, vae: Any, owner: Owner) -> Any:
    source = files.checkpoint

    def part(kind: Any, name: str) -> Any:
        owner.check_stop()
        return _on_device(
            kind.from_pretrained(
                source.root / name,
                dtype=place.dtype,
                variant=variant_of(source, name),
                use_safetensors=True,
                local_files_only=True,
            ),
            place,
        )

    def tokenizer(name: str) -> Any:
        return CLIPTokenizer.from_pretrained(source.root / name, local_files_only=True)

    return StableDiffusionXLPipeline(
        unet=part(UNet2DConditionModel, "unet"),
        text_encoder=part(CLIPTextModel, "text_encoder"),
        text_encoder_2=part(CLIPTextModelWithProjection, "text_encoder_2"),
        vae=vae or part(AutoencoderKL, "vae"),
        tokenizer=tokenizer("tokenizer"),
        tokenizer_2=tokenizer("tokenizer_2"),
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def _load_single(files: ModelFiles, place: Place, vae: Any, owner: Owner) -> Any:
    owner.check_stop()
    pipeline = StableDiffusionXLPipeline.from_single_file(
        str(files.checkpoint.single),
        config=str((files.config or files.checkpoint).root),
        torch_dtype=place.dtype,
        local_files_only=True,
        add_watermarker=False,
        **({"vae": vae} if vae else {}),
    )
    return _on_device(pipeline, place)


def _load_vae(source: Source, config: Path, place: Place) -> Any:
    """config: folder of the pipeline that the VAE is for; it describes a single-file VAE."""
    if source.single:
        vae = AutoencoderKL.from_single_file(
            str(source.single),
            config=str(config),
            subfolder="vae",
            torch_dtype=place.dtype,
            local_files_only=True,
        )
    else:
        folder = source.weights[0].parent
        vae = AutoencoderKL.from_pretrained(
            folder,
            dtype=place.dtype,
            variant=variant_of(source, folder.relative_to(source.root).as_posix()),
            use_safetensors=True,
            local_files_only=True,
        )
    return _on_device(vae, place)


def _on_device(model: Any, place: Place) -> Any:
    return model.to(place.device)
