"""FamilyBase: what families have in common unless they say otherwise. Imports torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.families import recognition
from bot.engine.families.family import LoadedModel
from bot.engine.kernels import Shape
from bot.engine.subject import Subject
from catalog.families import Family as Facts
from catalog.weight_files import Header
from catalog.weight_files.parts import lacking_networks


class FamilyBase:
    """See `families.family` for the methods: one that edits no images, takes no ControlNets, and is
    not compiled; its latents are denoised in the denoiser's dtype.

    facts: what the catalog says about it.
    """

    facts: Facts

    def check_single(self, file: Path, header: Header, subject: Subject) -> None:
        recognition.check_single(self.facts, file, header, subject)

    def check_folder(self, folder: Path, subject: Subject) -> None:
        recognition.check_folder(self.facts, folder, subject)

    def latents_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return dtype

    def lacking(self, header: Header) -> tuple[str, ...]:
        return lacking_networks(self.facts, header.shapes)

    def guided(self, without: torch.Tensor, asked: torch.Tensor, scale: float) -> torch.Tensor:
        return without + scale * (asked - without)

    def references(self, vae: Any, pictures: Sequence[PIL.Image.Image], *, tiled: bool) -> Any:
        raise ValueError(f"{self.facts.key} edits no images")

    def control(self, stored: Any, config: object, denoiser: Any, subject: Subject) -> Any:
        raise ValueError(f"{self.facts.key} takes no ControlNets")

    def controlled(self, denoiser: Any, acting: Sequence[Any], steps: int, order: int) -> Any:
        raise ValueError(f"{self.facts.key} takes no ControlNets")

    def previewed(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return latents

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        raise ValueError(f"{self.facts.key} is not compiled")
