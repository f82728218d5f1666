"""UNetFamily: what families with a UNet answer alike. Imports torch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bot.engine.configurations import Kind
from bot.engine.environment import Place
from bot.engine.families import autoencoder, clip, discrete, recognition
from bot.engine.families.base import FamilyBase
from bot.engine.families.clip import TextEncoder
from bot.engine.families.family import ControlNetwork, LoadedModel, PreviewFactors
from bot.engine.families.unet import adapter_names, configurations, controls, networks
from bot.engine.families.unet.chunks import TOKENS
from bot.engine.families.unet.latents import VAE_SCALE, previewed, scaled, shape, unscaled
from bot.engine.families.unet.networks import DENOISER
from bot.engine.families.unet.text import Inversions
from bot.engine.learned import Learned
from bot.engine.memory import USUAL, Profile
from bot.engine.patches import Target
from bot.engine.subject import Subject
from bot.engine.weights import Formats
from bot.errors import JobFailed
from catalog import ModelEntry, Words
from catalog.families import Family as Facts
from catalog.weight_files import Header
from catalog.weight_files.pipeline import kind_of_unet
from catalog.weight_files.prediction import Training


class UNetFamily(FamilyBase):
    """A UNet of discrete steps, CLIP text encoders, and a VAE of 4 channels at an eighth.

    See `families.family` for its attributes and methods; a family adds those that are missing here.

    facts: the family's half without torch. encoders: its text encoders, in the order in which the
        UNet reads their states.
    unet: what the configuration of its UNet may say.
    scale: `scaling_factor` of its own VAE. preview: for latents of that scale.
    """

    denoiser = DENOISER
    usual_tokens: int | None = TOKENS
    vae_scale = VAE_SCALE
    leaving = USUAL
    too_large_on = frozenset[Profile]()
    blocks: Mapping[str, str] = {}

    def __init__(
        self,
        facts: Facts,
        encoders: tuple[TextEncoder, ...],
        unet: Kind,
        *,
        scale: float,
        preview: PreviewFactors,
        whole: Mapping[Profile, float],
        ays: Sequence[int],
    ) -> None:
        self.facts = facts
        self.key = facts.key
        self.adapter_bases = facts.adapter_bases
        self.text_encoders = tuple(encoder.network for encoder in encoders)
        self.tokenizers = tuple(encoder.tokenizer for encoder in encoders)
        self.networks = facts.networks
        self.patched: tuple[str, ...] = (DENOISER, *self.text_encoders)
        self.files = facts.files
        self.whole = whole
        self.preview = preview
        self.ays = tuple(ays)
        self._encoders = encoders
        self._unet = unet
        self._scale = scale

    def checked_config(
        self, network: str, config: Mapping[str, Any], subject: Subject
    ) -> dict[str, Any]:
        if network == DENOISER and (kind := kind_of_unet(config, self.facts.architectures)):
            raise recognition.foreign(self.facts, subject, f"{kind} model")
        return configurations.checked(network, config, self._unet, subject)

    def build(self, network: str, config: Mapping[str, Any]) -> Any:
        return networks.build(network, config, self._encoders)

    def dtype_of(self, network: str, config: Mapping[str, Any], place: Place) -> torch.dtype:
        return place.dtype

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

    def prefixes(self, network: str) -> tuple[str, ...]:
        return networks.prefixes(network, self._encoders)

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        return networks.renamed(network, module, stored, parameters, self._encoders)

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        return clip.tokenizer(folder, subject)

    def formats(self, network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
        return networks.formats(network, self._encoders, dtype, in_eight_bits=in_eight_bits)

    def unread(self, _: str, __: str) -> bool:
        return False

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
        return adapter_names.targets(networks, self._encoders)

    def control(
        self, stored: Mapping[str, torch.Tensor], config: object, denoiser: Any, subject: Subject
    ) -> tuple[ControlNetwork, dict[str, torch.Tensor]]:
        return controls.read(stored, config, denoiser, subject)

    def controlled(
        self, denoiser: Callable[..., Any], acting: Sequence[Any], steps: int, order: int
    ) -> Callable[..., Any]:
        return controls.Controlled(denoiser, acting, steps, order)

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        return autoencoder.decode(vae, unscaled(vae, latents), VAE_SCALE, tiled=tiled)

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Any:
        return autoencoder.distribution(vae, pixels, VAE_SCALE, tiled=tiled)

    def previewed(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return previewed(vae, latents, self._scale)

    def inversions(self, learned: Sequence[Learned]) -> Inversions:
        """What stands in a prompt for vectors, with those for each of its text encoders."""
        return Inversions(
            Words((word, number) for number, each in enumerate(learned) for word in each.words),
            [tuple(each.vectors[name] for name in self.text_encoders) for each in learned],
        )

    def check_clip_skip(self, model: LoadedModel, layer: int) -> None:
        """Raise JobFailed when a text encoder has no such layer, counted from the last."""
        configs = (model.network(name).config for name in self.text_encoders)
        depth = min(int(config.num_hidden_layers) for config in configs)
        if layer > depth:
            raise JobFailed("model.clip_skip", model=model.key, max=depth)
