"""Family: all that the engine asks of a model architecture. Imports torch.

What is not here is shared and knows no family: the denoising loop, schedulers, seeds, hires passes,
cancelling, progress, hashing, weights in RAM and on the device, and the algorithms of adapters.

A network is named as its folder in a diffusers pipeline: "unet", "text_encoder", "vae".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from bot.engine.environment import Place
from bot.engine.kernels import Shape
from bot.engine.memory import Profile
from bot.engine.patches import Target
from bot.engine.sampling import Training
from bot.engine.subject import Subject
from bot.request import GenerationRequest

VAE = "vae"
"""The autoencoder's folder, the same in every pipeline of diffusers."""

Encoded: TypeAlias = Any
"""A prompt as a family's text encoders read it; only that family looks inside."""


@dataclass(frozen=True, slots=True)
class PipelineFiles:
    """Which files make up a model in diffusers' layout.

    weights: network → how its weight files begin. folders: those that must be there with their
        configuration; of a single-file checkpoint they complete it.
    """

    weights: Mapping[str, str]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreviewFactors:
    """A linear map from latents to colours, instead of the VAE.

    weights: of red, green and blue, one factor for each latent channel. biases: of the three.
    The result is 0–255.
    """

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, float, float]


class LoadedModel(Protocol):
    """What a family is shown of a model whose networks hold its weights."""

    key: str
    tokenizers: Mapping[str, Any]
    """By the names of `Family.tokenizers`."""

    def network(self, name: str) -> Any:
        """The module of one of `Family.networks`."""


class Conditioning(Protocol):
    """What steers the denoiser at every step of one pass.

    rows: 2 with guidance, the negative prompt first; 1 without. tokens: of the longer prompt.
    """

    @property
    def rows(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Ask `denoiser`, called as the network of that name, once.

        latents: `rows` times those of the picture, as the scheduler scales them for the model.
        Returns a tensor of their shape, in what the scheduler's `prediction_type` says.
        """


class Family(Protocol):
    """One architecture; its instance holds no state.

    adapter_bases: base models, in the words of `catalog.weight_files`, whose adapters fit.
    networks: in the order in which they are loaded. denoiser: the one that every step asks.
    text_encoders: those that leave a small card once the prompt is encoded.
    patched: those that adapters change. tokenizers: folders, each one tokenizer.
    usual_tokens: of a prompt of usual length; the denoiser is compiled for it.
    vae_scale: pixels a side for one of the latents.
    whole: pixels up to which the VAE decodes in one piece, by the card; half of it where the VAE
        computes in numbers twice as wide as the rest.
    ays: the timesteps of "Align Your Steps" (arXiv 2404.14507) for it, from the noisiest down.
    """

    key: str
    adapter_bases: tuple[str, ...]
    networks: tuple[str, ...]
    denoiser: str
    text_encoders: tuple[str, ...]
    patched: tuple[str, ...]
    tokenizers: tuple[str, ...]
    files: PipelineFiles
    usual_tokens: int
    vae_scale: int
    whole: Mapping[Profile, float]
    preview: PreviewFactors
    ays: tuple[int, ...]

    def check_single(self, names: Collection[str], subject: Subject) -> None:
        """Raise JobFailed unless a single file with tensors of these names is of this family."""

    def check_config(self, network: str, config: Mapping[str, Any], subject: Subject) -> None:
        """Raise JobFailed when the configuration of `network` is another family's."""

    def build(self, network: str, config: Mapping[str, Any]) -> Any:
        """The module of `network`, its parameters on the meta device, its small buffers not.

        In the engine thread only: accelerate replaces a method of every module meanwhile, and
        another thread that builds one at the same time would get parameters without numbers.
        """

    def dtype_of(self, network: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
        """What `network` computes in when the engine computes in `dtype`."""

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        """`stored`, in whatever names its files have, by the names of `module`.

        parameters: the names in `module`. What is not among them is left over; what is missing is
        missed by the caller.
        """

    def training(self, names: Collection[str]) -> Training:
        """What the tensors in a single-file checkpoint say about how it was trained."""

    def tokenizer(self, folder: Path) -> Any:
        """The tokenizer in `folder`."""

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
        """Every name that an adapter file may use for a module of `patched` → that module.

        networks: the modules by name; only shapes are read.
        """

    def encode(self, model: LoadedModel, request: GenerationRequest, *, guided: bool) -> Encoded:
        """The prompt of `request`, and with guidance its negative one, on the model's device.

        Raises JobFailed when the prompt is too long, or asks for a layer that is not there.
        """

    def condition(
        self, encoded: Encoded, size: tuple[int, int], image: list[torch.Tensor] | None
    ) -> Conditioning:
        """For one pass.

        size: width and height in pixels. image: a reference picture's embeddings as the
        denoiser's IP-Adapter layers take them, as many rows as the prompts; or None.
        """

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Of the latents of one picture, with a batch axis of 1. size: width, height in pixels."""

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents as the VAE encodes them, as the denoiser knows them."""

    def unscaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """The reverse of `scaled`."""

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        """Call `denoiser` once as for a picture of `shape`, so that it is compiled for it."""
