"""FamilyBase: what families have in common unless they say otherwise. Imports torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.families import recognition
from bot.engine.families.family import Encoded, LoadedModel, Recall
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.subject import Subject
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog.families import Family as Facts
from catalog.weight_files import Header
from catalog.weight_files.parts import lacking_networks


class FamilyBase:
    """See `families.family` for the methods: one that edits no images, takes no ControlNets, and is
    not compiled; its latents are denoised in the denoiser's dtype.

    facts: what the catalog says about it. encode_texts: of one with a single text encoder; gets
        that and its tokenizer, pairs of a prompt and its negative one, which is None without
        guidance, the denoiser's dtype, what `encode` calls recall, and the model's key.
    """

    facts: Facts
    denoiser: str
    text_encoders: tuple[str, ...]
    tokenizers: tuple[str, ...]
    encode_texts: Callable[..., tuple[Encoded, ...]]

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

    def encode(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        turns: Sequence[Turn],
        learned: Sequence[Learned],
        recall: Recall,
        *,
        guided: bool,
    ) -> tuple[Encoded, ...]:
        (encoder,), (tokenizer,) = self.text_encoders, self.tokenizers
        return self.encode_texts(
            model.network(encoder),
            model.tokenizers[tokenizer],
            [(turn.prompt, turn.negative if guided else None) for turn in turns],
            model.network(self.denoiser).dtype,
            recall,
            model.key,
        )

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
