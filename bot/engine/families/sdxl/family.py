"""The Family interface of SDXL; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.schedulers import AysSchedules
from transformers import CLIPTokenizer

from bot.engine.environment import Place
from bot.engine.families import autoencoder, discrete
from bot.engine.families.family import LoadedModel, Recall
from bot.engine.families.sdxl import adapter_names, conditioning, configurations, networks, text
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
from bot.engine.families.sdxl.memory import INT8_ON, WHOLE
from bot.engine.families.sdxl.networks import (
    DENOISER,
    FILES,
    NETWORKS,
    TEXT_ENCODERS,
    TOKENIZERS,
)
from bot.engine.families.sdxl.text import SDXL_LAYER, Encoded, Encoders, Inversions
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.memory import Profile
from bot.engine.patches import Target
from bot.engine.subject import Subject
from bot.engine.weights import Formats
from bot.errors import JobFailed
from bot.request import GenerationRequest
from bot.request.editing import Turn
from catalog import ModelEntry, Words
from catalog.families import SDXL as FACTS
from catalog.weight_files import Header, checkpoint_facts
from catalog.weight_files.embedding import FIRST, SECOND
from catalog.weight_files.pipeline import folder_facts, kind_of_unet
from catalog.weight_files.prediction import Training


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
    int8_on: frozenset[Profile] = INT8_ON
    ays: tuple[int, ...] = tuple(AysSchedules["StableDiffusionXLTimesteps"])

    def check_single(self, file: Path, header: Header, subject: Subject, *, vae: bool) -> None:
        refusal = checkpoint_facts(file, header).unfit(vae=vae, config=True, prediction=True)
        if refusal and not refusal.of_weights:
            raise subject.failed("model.not_sdxl", what=refusal.what)

    def check_folder(self, folder: Path, subject: Subject) -> None:
        refusal = folder_facts(folder).refusal
        if refusal and not (refusal.of_training or refusal.of_weights):
            raise subject.failed("model.not_sdxl", what=refusal.what)

    def checked_config(
        self, network: str, config: Mapping[str, Any], subject: Subject
    ) -> dict[str, Any]:
        if network == self.denoiser and (kind := kind_of_unet(config)):
            raise subject.failed("model.not_sdxl", what=f"{kind} model")
        return configurations.checked(network, config, subject)

    def build(self, network: str, config: Mapping[str, Any]) -> Any:
        return networks.build(network, config)

    def dtype_of(self, network: str, config: Mapping[str, Any], place: Place) -> torch.dtype:
        return networks.dtype_of(network, config, place.dtype)

    def latents_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return dtype

    def lacking(self, _: Header) -> tuple[str, ...]:
        return ()

    def training(
        self,
        weights: Sequence[tuple[Path, Header]],
        root: Path,
        entry: ModelEntry,
        *,
        single: bool,
    ) -> Training:
        return discrete.training(weights, root, entry, single=single)

    def timesteps(self, _: Training, __: tuple[int, int], ___: int) -> Mapping[str, Any]:
        return {}

    def guided(self, without: torch.Tensor, asked: torch.Tensor, scale: float) -> torch.Tensor:
        return without + scale * (asked - without)

    def formats(self, network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
        return networks.formats(network, dtype, in_eight_bits=in_eight_bits)

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.PREFIXES[network]

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored, parameters)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        with TemporaryDirectory() as clean:
            configurations.copy_tokenizer(folder, Path(clean), subject)
            return CLIPTokenizer.from_pretrained(clean, local_files_only=True)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
        return adapter_names.targets(networks)

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
        encoders = _encoders(model)
        depth = text.deepest_clip_skip(encoders)
        if (request.clip_skip or SDXL_LAYER) > depth:
            raise JobFailed("model.clip_skip", model=model.key, max=depth)
        pairs = [(turn.prompt, turn.negative if guided else None) for turn in turns]
        inversions = Inversions(
            Words((word, number) for number, each in enumerate(learned) for word in each.words),
            [(each.vectors[FIRST], each.vectors[SECOND]) for each in learned],
        )
        return text.encode(encoders, pairs, request.clip_skip, inversions, recall)

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> Conditioning:
        return Conditioning.of(encoded, size, image)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        return autoencoder.decode(vae, unscaled(vae, latents), VAE_SCALE, tiled=tiled)

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Any:
        return autoencoder.distribution(vae, pixels, VAE_SCALE, tiled=tiled)

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
