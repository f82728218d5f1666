"""Stable Diffusion's safety checker (diffusers' StableDiffusionSafetyChecker). Imports torch.

A CLIP image encoder, whose embedding is compared with those of concepts (arXiv 2210.04610 takes it
apart). Its file holds the encoder, the concepts and how close an image may come to each.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import PIL.Image
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessorPil

from bot.engine import networks
from bot.engine.building import without_weights
from bot.engine.configurations import CLIP_VISION, known
from bot.engine.sources import Source, Sources
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog import ImageCheckEntry
from catalog.weight_files import NotSafetensors, read_header

log = logging.getLogger(__name__)

NAME: Final = "image_check"
_TWICE: Final = "vision_model.vision_model."
"""How files written with transformers 4 begin the names of the encoder's tensors."""


class SafetyChecker:
    """Keeps the network that was used last."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kept: tuple[Any, Any, int] | None = None

    def flags(self, entry: ImageCheckEntry, images: Sequence[PIL.Image.Image]) -> tuple[bool, ...]:
        """See ImageCheck.flags."""
        module, side = self._ready(entry)
        processor = CLIPImageProcessorPil(size=side, crop_size=side)
        found = []
        for image in images:
            pixels = processor(image, return_tensors="pt").pixel_values
            # It would black out what it is given second.
            _, flagged = module(clip_input=pixels, images=[np.zeros(1)])
            found.append(bool(flagged[0]))
        return tuple(found)

    def _ready(self, entry: ImageCheckEntry) -> tuple[Any, int]:
        """The network, and the pixels per side of the images that it takes."""
        subject = Subject(NAME, entry.path, lambda _: None, lambda: None)
        files = self._sources.image_check(entry, subject)
        fingerprint = files.fingerprint()
        if self._kept is None or self._kept[0] != fingerprint:
            self._kept = None
            module, side = _read(files, subject)
            self._kept = fingerprint, module, side
            log.info("the image check is loaded from %s", files.root)
        return self._kept[1], self._kept[2]


def _read(files: Source, subject: Subject) -> tuple[Any, int]:
    for path in files.weights:
        try:
            read_header(path)
        except NotSafetensors as error:
            raise subject.failed(
                "model.not_safetensors", file=path.name, reason=str(error)
            ) from None
    config = json.loads((files.root / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not isinstance(config.get("vision_config"), dict):
        raise _odd("vision_config", type(config).__name__, "a JSON object", subject)
    vision = known(NAME, config["vision_config"], CLIP_VISION, subject)
    width = config.get("projection_dim")
    if not isinstance(width, int) or not 1 <= width <= 16_384:
        raise _odd("projection_dim", width, "a whole number from 1 to 16384", subject)
    with without_weights():
        module = StableDiffusionSafetyChecker(
            CLIPConfig(vision_config=vision, projection_dim=width)
        )
    wanted = module.state_dict()
    found = {
        name.replace(_TWICE, "vision_model.", 1): tensor.to(torch.float32)
        for name, tensor in networks.stored(files.weights).items()
    }
    for name, tensor in wanted.items():
        if name not in found or found[name].shape != tensor.shape:
            raise subject.failed("model.incomplete", part=name)
    module.load_state_dict({name: found[name].clone() for name in wanted}, assign=True)
    module.eval().requires_grad_(False)
    return module, int(module.config.vision_config.image_size)


def _odd(field: str, value: object, allowed: str, subject: Subject) -> JobFailed:
    said = str(value)[:100]
    return subject.failed("model.configuration", field=field, value=said, allowed=allowed)
