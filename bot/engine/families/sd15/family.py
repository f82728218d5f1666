"""The Family interface of SD 1.5; see `families.family` for its methods. Imports torch."""

from collections.abc import Sequence
from typing import Any

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
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog.families.sd15 import SD15 as FACTS


class SD15(UNetFamily):
    """Stable Diffusion 1.5, and the models trained from it or its predecessors.

    Its VAE is safe in 16 bits: diffusers' and Stability's own pipelines decode in the dtype of the
    rest. Only SDXL's was trained anew and got activations beyond their range; `force_upcast` in the
    configuration of a VAE for SD 1.5 is a default that diffusers writes.
    """

    def __init__(self) -> None:
        ays = AysSchedules["StableDiffusionTimesteps"]
        super().__init__(FACTS, ENCODERS, UNET, scale=SCALE, preview=PREVIEW, whole=WHOLE, ays=ays)

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
