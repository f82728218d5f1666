"""The Family interface of FLUX.2 klein; see `families.family` for its methods. Imports torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.families import autoencoder, qwen3
from bot.engine.families.base import FamilyBase
from bot.engine.families.family import LoadedModel
from bot.engine.families.flux2 import (
    conditioning,
    configurations,
    networks,
    references,
    schedule,
    text,
)
from bot.engine.families.flux2.conditioning import Conditioning, References
from bot.engine.families.flux2.latents import (
    PREVIEW,
    VAE_SCALE,
    previewed,
    scaled,
    shape,
    unscaled,
)
from bot.engine.families.flux2.memory import LEAVING, TOO_LARGE_ON, WHOLE
from bot.engine.families.flux2.networks import (
    BLOCKS,
    DENOISER,
    NETWORKS,
    TEXT_ENCODER,
    TOKENIZER,
)
from bot.engine.families.flux2.original import ORIGINALS
from bot.engine.families.flux2.text import Encoded
from bot.engine.families.packing import PATCH
from bot.engine.kernels import Shape
from bot.engine.memory import Profile
from bot.engine.patches import AnyTarget
from bot.engine.patches.spelling import denoiser_names
from bot.engine.subject import Subject
from catalog import ModelEntry
from catalog.families.flux2 import FLUX2 as FACTS
from catalog.weight_files import Header
from catalog.weight_files.prediction import Training


class Flux2(FamilyBase):
    """FLUX.2 klein, distilled and base, and the models trained from them."""

    # Up here, `networks` is the module; below, it is the names of the networks.
    checked_config = staticmethod(configurations.checked)
    build = staticmethod(networks.build)
    formats = staticmethod(networks.formats)
    unread = staticmethod(networks.unread)
    encode_texts = staticmethod(text.encode)

    facts = FACTS
    key = FACTS.key
    adapter_bases = FACTS.adapter_bases
    networks: tuple[str, ...] = NETWORKS
    denoiser = DENOISER
    text_encoders: tuple[str, ...] = (TEXT_ENCODER,)
    patched: tuple[str, ...] = (DENOISER,)
    tokenizers: tuple[str, ...] = (TOKENIZER,)
    files = FACTS.files
    usual_tokens: int | None = text.TOKENS
    vae_scale = VAE_SCALE
    whole: Mapping[Profile, float] = WHOLE
    leaving = LEAVING
    too_large_on = TOO_LARGE_ON
    blocks: Mapping[str, str] = BLOCKS
    preview = PREVIEW
    ays: tuple[int, ...] = ()

    def dtype_of(self, network: str, _: Mapping[str, Any], place: Place) -> torch.dtype:
        return networks.dtype_of(network, place)

    def training(
        self,
        _: Sequence[tuple[Path, Header]],
        root: Path,
        entry: ModelEntry,
        *,
        single: bool,
    ) -> Training:
        return schedule.training(root, entry)

    def timesteps(self, training: Training, size: tuple[int, int], steps: int) -> Mapping[str, Any]:
        return schedule.timesteps(training, size, steps)

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.PREFIXES[network]

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        _: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        return qwen3.tokenizer(folder, text.MARKS, subject)

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, AnyTarget]:
        return denoiser_names(DENOISER, networks[DENOISER], ORIGINALS)

    def references(
        self, vae: Any, pictures: Sequence[PIL.Image.Image], *, tiled: bool
    ) -> References | None:
        """What `condition` takes of `pictures`, RGB, in the order in which prompts count them.

        tiled: as in `decode`. Raises JobFailed for one that is too small or too long.
        """

        def encoded(pixels: torch.Tensor) -> torch.Tensor:
            latents: torch.Tensor = self.distribution(vae, pixels, tiled=tiled).mode()
            return latents

        return references.encoded(vae, pictures, encoded)

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: References | None
    ) -> Conditioning:
        return Conditioning.of(encoded, size, image)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        return autoencoder.decode(vae, unscaled(vae, latents), VAE_SCALE // PATCH, tiled=tiled)

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Any:
        return autoencoder.distribution(vae, pixels, VAE_SCALE // PATCH, tiled=tiled)

    def previewed(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return previewed(vae, latents)

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        transformer = model.network(DENOISER)
        conditioning.rehearse(transformer, place, denoiser, shape)
