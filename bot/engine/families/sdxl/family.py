"""The Family interface of SDXL; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers import AysSchedules
from transformers import CLIPTokenizer

from bot.engine.environment import Place
from bot.engine.families.family import LoadedModel
from bot.engine.families.sdxl import adapter_names, conditioning, networks, text
from bot.engine.families.sdxl.chunks import TOKENS
from bot.engine.families.sdxl.conditioning import Conditioning
from bot.engine.families.sdxl.latents import (
    PREVIEW,
    VAE_SCALE,
    previewed,
    scaled,
    shape,
    unscaled,
)
from bot.engine.families.sdxl.memory import WHOLE
from bot.engine.families.sdxl.networks import (
    DENOISER,
    FILES,
    NETWORKS,
    PREFIXES,
    TEXT_ENCODERS,
    TOKENIZERS,
)
from bot.engine.families.sdxl.text import SDXL_LAYER, Encoded, Encoders
from bot.engine.kernels import Shape
from bot.engine.memory import Profile
from bot.engine.patches import Target
from bot.engine.subject import Subject
from bot.errors import JobFailed
from bot.request import GenerationRequest
from catalog.families import SDXL as FACTS


class SDXL:
    """Stable Diffusion XL and the models trained from it."""

    key = FACTS.key
    adapter_bases = FACTS.adapter_bases
    networks: tuple[str, ...] = NETWORKS
    denoiser = DENOISER
    text_encoders: tuple[str, ...] = TEXT_ENCODERS
    patched: tuple[str, ...] = (DENOISER, *TEXT_ENCODERS)
    tokenizers: tuple[str, ...] = TOKENIZERS
    files = FILES
    usual_tokens = TOKENS
    vae_scale = VAE_SCALE
    whole: Mapping[Profile, float] = WHOLE
    preview = PREVIEW
    ays: tuple[int, ...] = tuple(AysSchedules["StableDiffusionXLTimesteps"])

    def check_single(self, names: Collection[str], subject: Subject) -> None:
        if not FACTS.recognises(names):
            raise subject.failed("model.not_sdxl")

    def check_config(self, network: str, config: Mapping[str, Any], subject: Subject) -> None:
        if network == self.denoiser and not networks.is_unet(config):
            raise subject.failed("model.not_sdxl")

    def build(self, network: str, config: Mapping[str, Any]) -> Any:
        return networks.build(network, config)

    def dtype_of(self, network: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
        return networks.dtype_of(network, config, dtype)

    def prefix(self, network: str) -> str:
        return PREFIXES[network]

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored, parameters)

    def tokenizer(self, folder: Path) -> Any:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
        return adapter_names.targets(networks)

    def encode(self, model: LoadedModel, request: GenerationRequest, *, guided: bool) -> Encoded:
        encoders = _encoders(model)
        depth = text.deepest_clip_skip(encoders)
        if (request.clip_skip or SDXL_LAYER) > depth:
            raise JobFailed("model.clip_skip", model=model.key, max=depth)
        negative = request.negative if guided else None
        return text.encode(encoders, request.painted_prompt, negative, request.clip_skip)

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> Conditioning:
        return Conditioning.of(encoded, size, image)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return unscaled(vae, latents)

    def previewed(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return previewed(vae, latents)

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        projection = model.network("text_encoder_2").config.projection_dim
        conditioning.rehearse(projection, place, denoiser, shape)


def _encoders(model: LoadedModel) -> Encoders:
    return Encoders(
        model.tokenizers["tokenizer"],
        model.tokenizers["tokenizer_2"],
        model.network("text_encoder"),
        model.network("text_encoder_2"),
    )
