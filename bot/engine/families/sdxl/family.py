"""The Family interface of SDXL; see `families.family` for its methods. Imports torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from diffusers.schedulers import AysSchedules

from bot.engine.environment import Place
from bot.engine.families.family import VAE, LoadedModel, Recall
from bot.engine.families.sdxl import text
from bot.engine.families.sdxl.conditioning import SIZES, condition
from bot.engine.families.sdxl.latents import PREVIEW, SCALE
from bot.engine.families.sdxl.memory import WHOLE
from bot.engine.families.sdxl.networks import ENCODERS, UNET
from bot.engine.families.sdxl.text import SDXL_LAYER, Encoded, Encoders
from bot.engine.families.unet import conditioning
from bot.engine.families.unet.conditioning import Conditioning
from bot.engine.families.unet.family import UNetFamily
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog.families.sdxl import SDXL as FACTS

_FORCE_ZEROS: Final = "force_zeros_for_empty_prompt"
"""Field of a pipeline's index; diffusers' pipelines for SDXL take it to be true where it is not
there."""


class SDXL(UNetFamily):
    """Stable Diffusion XL and the models trained from it."""

    def __init__(self) -> None:
        ays = AysSchedules["StableDiffusionXLTimesteps"]
        super().__init__(FACTS, ENCODERS, UNET, scale=SCALE, preview=PREVIEW, whole=WHOLE, ays=ays)

    def dtype_of(self, network: str, config: Mapping[str, Any], place: Place) -> torch.dtype:
        # SDXL's original VAE overflows in 16 bits; its configuration says so.
        if network == VAE and place.dtype == torch.float16 and config.get("force_upcast", True):
            return torch.float32
        return place.dtype

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
        self.check_clip_skip(model, request.clip_skip or SDXL_LAYER)
        encoders = Encoders(
            *(model.tokenizers[name] for name in self.tokenizers),
            *(model.network(name) for name in self.text_encoders),
        )
        pairs = [(turn.prompt, turn.negative if guided else None) for turn in turns]
        return text.encode(
            encoders,
            pairs,
            request.clip_skip,
            self.inversions(learned),
            recall,
            force_zeros=bool(model.index.get(_FORCE_ZEROS, True)),
        )

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> Conditioning:
        return condition(encoded, size, image)

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        projection = model.network("text_encoder_2").config.projection_dim
        conditioning.rehearse(
            place, denoiser, shape, {"text_embeds": projection, "time_ids": SIZES}
        )
