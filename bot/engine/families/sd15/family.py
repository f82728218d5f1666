"""The Family interface of SD 1.5; see `families.family` for its methods. Imports torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.schedulers import AysSchedules

from bot.engine.environment import Place
from bot.engine.families.family import LoadedModel, Recall
from bot.engine.families.sd15 import text
from bot.engine.families.sd15.latents import PREVIEW, SCALE
from bot.engine.families.sd15.memory import WHOLE
from bot.engine.families.sd15.networks import ENCODERS, UNET
from bot.engine.families.sd15.text import SD15_LAYER, Encoded
from bot.engine.families.unet import conditioning
from bot.engine.families.unet.conditioning import Conditioning
from bot.engine.families.unet.family import UNetFamily
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.subject import Subject
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog.families.sd15 import SD15 as FACTS
from catalog.weight_files import Header, checkpoint_facts
from catalog.weight_files.pipeline import kind_of_unet
from catalog.weight_files.unet import unet

_MODELS: Final = ("SD 1.5", "unknown")
"""What the catalog calls a UNet of 4 channels that is told nothing but the prompt: by the usual
width of the prompt's states, or by another that no known model has."""


class SD15(UNetFamily):
    """Stable Diffusion 1.5, and the models trained from it or its predecessors.

    Its VAE is safe in 16 bits: diffusers' and Stability's own pipelines decode in the dtype of the
    rest. Only SDXL's was trained anew and got activations beyond their range; `force_upcast` in the
    configuration of a VAE for SD 1.5 is a default that diffusers writes.
    """

    def __init__(self) -> None:
        ays = AysSchedules["StableDiffusionTimesteps"]
        super().__init__(FACTS, ENCODERS, UNET, scale=SCALE, preview=PREVIEW, whole=WHOLE, ays=ays)

    def check_single(self, file: Path, header: Header, subject: Subject, *, vae: bool) -> None:
        found = unet(header.shapes)
        if found is None or found.model not in _MODELS or found.task:
            raise self.foreign(subject, checkpoint_facts(file, header).what)

    def check_folder(self, folder: Path, subject: Subject) -> None:
        """Nothing: `checked_config` refuses other UNets by their configuration."""

    def checked_config(
        self, network: str, config: Mapping[str, Any], subject: Subject
    ) -> dict[str, Any]:
        if network == self.denoiser and (kind := kind_of_unet(config)) not in _MODELS:
            raise self.foreign(subject, f"{kind or 'SDXL'} model")
        return super().checked_config(network, config, subject)

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
        self.check_clip_skip(model, request.clip_skip or SD15_LAYER)
        pairs = [(turn.prompt, turn.negative if guided else None) for turn in turns]
        tokenizer, encoder = model.tokenizers["tokenizer"], model.network("text_encoder")
        inversions = self.inversions(learned)
        return text.encode(tokenizer, encoder, pairs, request.clip_skip, inversions, recall)

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> Conditioning:
        prompt = encoded.prompt
        if encoded.negative is not None:
            prompt = torch.cat([encoded.negative, prompt])
        return Conditioning(prompt, {} if image is None else {"image_embeds": image})

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        conditioning.rehearse(place, denoiser, shape, {})
