"""Family: the interface between the engine and a model architecture. Imports torch.

Everything else is shared by all families: the denoising loop, schedulers, seeds, hires passes,
cancelling, progress, hashing, weights in RAM and on the device, and the adapter algorithms.

A network is named after its folder in a diffusers pipeline: "unet", "text_encoder", "vae".
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import PIL.Image
import torch

from bot.engine.environment import Place
from bot.engine.kernels import Shape
from bot.engine.learned import Learned
from bot.engine.memory import Leaving, Profile
from bot.engine.patches import AnyTarget
from bot.engine.subject import Subject
from bot.engine.weights import Formats
from bot.request import ControlUse, GenerationRequest
from bot.request.editing import Turn
from catalog import ModelEntry
from catalog.families import PipelineFiles, files
from catalog.weight_files import Header
from catalog.weight_files.prediction import Training

VAE = files.VAE
"""The autoencoder's folder, the same in every pipeline of diffusers."""

Encoded: TypeAlias = Any
"""An encoded prompt with its negative one; opaque to everything but its family."""

Tensors: TypeAlias = tuple[torch.Tensor, ...]
Recall: TypeAlias = Callable[[Hashable, Callable[[], Tensors]], Tensors]
"""Called with a text and a function that encodes it; returns what that function would, on the
model's device; not to be written to. The text encoders are only there, with their adapters, while
the function runs.

A text is everything that the result depends on, except for the text encoders themselves: the
numbers that they read, not the words, and which of their layers is taken."""


@dataclass(frozen=True, slots=True)
class PreviewFactors:
    """A linear map from latents to colours, instead of the VAE.

    weights: for red, green and blue, one factor per latent channel. biases: for the three.
    The result is 0–255.
    """

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, float, float]


class LoadedModel(Protocol):
    """A family's view of a model whose networks hold its weights."""

    key: str
    index: Mapping[str, Any]
    """The pipeline's index (`PipelineFiles.index`), as strangers wrote it."""
    tokenizers: Mapping[str, Any]
    """By the names of `Family.tokenizers`."""

    def network(self, name: str) -> Any:
        """The module of one of `Family.networks`."""


class Conditioning(Protocol):
    """The denoiser's conditioning for steps of one pass.

    rows: 2 with guidance, the negative prompt first; 1 without. tokens: of the longer prompt.
    """

    @property
    def rows(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    def predict(self, denoiser: Any, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Evaluate `denoiser`, called like the network of that name, once.

        latents: the image's latents `rows` times, scaled for the model by the scheduler.
        Returns a tensor of their shape, of the scheduler's `prediction_type`.
        """


class ControlNetwork(Protocol):
    """A ControlNet of a family.

    module: of the network. blocks: as `Family.blocks`, "" if there are none.
    """

    @property
    def module(self) -> Any: ...

    @property
    def blocks(self) -> str: ...

    def check(self, use: ControlUse, subject: Subject) -> None:
        """Raise JobFailed where it does not follow what `use` asks for."""

    def acting(self, use: ControlUse, map_: PIL.Image.Image, place: Place) -> Any:
        """It at work in a pass, for `Family.controlled`; only while the module is on the device.

        map_: RGB, of the size of the pass.
        """


class Family(Protocol):
    """One architecture; its instance holds no state.

    adapter_bases: base models, as `catalog.weight_files` names them, whose adapters fit.
    networks: in the order in which they are loaded. denoiser: the one evaluated at every step.
    text_encoders: those that leave a small card once the prompt is encoded.
    patched: those that adapters change. tokenizers: folders with one tokenizer each.
    usual_tokens: in a prompt of usual length; the denoiser is compiled for it. None: prompts have
        as many as their words are, and it is not compiled.
    vae_scale: pixels per latent along each side.
    whole: profile → pixels up to which the VAE decodes in one piece; half as many where the VAE's
        dtype is twice as wide as the other networks'.
    leaving: which networks leave the device meanwhile.
    too_large_on: profiles on which not each of its networks has room in 16 bits. Their large
        matrices are stored in 8 bits there unless IMAGEN_WEIGHTS says otherwise. The blocks of a
        network that has no room as it is stored take turns on the device.
    blocks: of the networks that may be too large: a regular expression for the paths of modules
        that are called one after the other, and that nothing outside them reads parameters of.
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
    usual_tokens: int | None
    vae_scale: int
    whole: Mapping[Profile, float]
    leaving: Leaving
    preview: PreviewFactors
    too_large_on: frozenset[Profile]
    blocks: Mapping[str, str]
    ays: tuple[int, ...]

    def check_single(self, file: Path, header: Header, subject: Subject) -> None:
        """Raise JobFailed unless the single `file` with this header is a checkpoint of this
        family, or its denoiser alone."""

    def check_folder(self, folder: Path, subject: Subject) -> None:
        """Raise JobFailed when a folder in diffusers' layout is no model of this family."""

    def checked_config(
        self, network: str, config: Mapping[str, Any], subject: Subject
    ) -> dict[str, Any]:
        """The fields of an untrusted configuration that `network` is built from.

        Raises JobFailed when it is another family's, or says something that is not supported.
        """

    def build(self, network: str, config: Mapping[str, Any]) -> Any:
        """The module of `network`: its parameters on the meta device, its small buffers not.

        config: from `checked_config`.

        In the engine thread only, within `building.without_weights`: torch is patched meanwhile, so
        a module that another thread builds at the same time would get parameters without data.
        """

    def dtype_of(self, network: str, config: Mapping[str, Any], place: Place) -> torch.dtype:
        """What `network` computes in at `place`."""

    def latents_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """What latents are drawn and denoised in when the denoiser computes in `dtype`."""

    def lacking(self, header: Header) -> tuple[str, ...]:
        """The networks that a single file with this header has not got, and that come with the
        configuration that completes it."""

    def training(
        self,
        weights: Sequence[tuple[Path, Header]],
        root: Path,
        entry: ModelEntry,
        *,
        single: bool,
    ) -> Training:
        """What a model was trained to predict.

        weights: the files of its denoiser. root: the folder with its configuration. single: whether
        they are one file. Raises UnknownTraining when they say something unknown or contradictory
        that `entry` does not settle, and OSError.
        """

    def timesteps(self, training: Training, size: tuple[int, int], steps: int) -> Mapping[str, Any]:
        """Arguments for a scheduler's `set_timesteps`, of which it gets those that it knows.

        size: width and height in pixels. Empty where the scheduler's own timesteps are meant.
        """

    def guided(self, without: torch.Tensor, asked: torch.Tensor, scale: float) -> torch.Tensor:
        """The guided prediction (arXiv 2207.12598), in the order and dtype of operations that the
        family is usually run with.

        without, asked: what the denoiser predicts for the negative prompt and for the prompt.
        """

    def formats(self, network: str, dtype: torch.dtype, *, in_eight_bits: bool) -> Formats:
        """What each parameter of `network` is stored as when it computes in `dtype`.

        in_eight_bits: whether large matrices are to be stored in 8 bits: those that are most of
            its bytes, but not the first and the last layer, embeddings and what is read by time.
        """

    def prefixes(self, network: str) -> tuple[str, ...]:
        """What the names of `network` may begin with in a single-file checkpoint."""

    def unread(self, network: str, name: str) -> bool:
        """Whether a tensor of that name in the files of `network` is left out on purpose."""

    def renamed(
        self,
        network: str,
        module: Any,
        stored: dict[str, torch.Tensor],
        parameters: Collection[str],
    ) -> dict[str, torch.Tensor]:
        """`stored`, under whatever names its files have, by the parameter names of `module`.

        parameters: the names in `module`. The result may have other names too, and may lack some:
        the caller checks that.
        """

    def tokenizer(self, folder: Path, subject: Subject) -> Any:
        """The tokenizer in `folder`. Raises JobFailed when it is not this family's."""

    def targets(self, networks: Mapping[str, torch.nn.Module]) -> Mapping[str, AnyTarget]:
        """Every name that an adapter file may use for a module in `patched` → that module, or what
        the model has of it.

        networks: the modules by name; only shapes are read.
        """

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
        """The prompt of each of a pass's `turns`, and with guidance its negative one, on the
        model's device, in tensors of the same shapes.

        request: whatever else the text encoders go by.
        learned: embeddings to read where their words stand, as wide as the model's encoders.
        recall: the only place for using the text encoders' weights; their configuration is
            always there.
        Raises JobFailed when the prompt is too long, or clip skip names a layer that is not there.
        """

    def references(self, vae: Any, pictures: Sequence[PIL.Image.Image], *, tiled: bool) -> Any:
        """What `condition` takes of images to edit, RGB, in the order in which prompts count them.

        tiled: as in `decode`. Only called for a family whose `pictures_max` is not 0. Raises
        JobFailed for an image that it cannot edit.
        """

    def control(
        self, stored: Mapping[str, torch.Tensor], config: object, denoiser: Any, subject: Subject
    ) -> tuple[ControlNetwork, dict[str, torch.Tensor]]:
        """A ControlNet for `denoiser`, with its parameters on the meta device, and its tensors by
        their names in the module.

        Only called for a family that `takes_control`. stored: the tensors in its files, by their
        names there. config: what its configuration says; None without one, which then follows from
        the tensors and the denoiser. Raises JobFailed where it is none, or is for another network.
        """

    def controlled(
        self, denoiser: Callable[..., Any], acting: Sequence[Any], steps: int, order: int
    ) -> Callable[..., Any]:
        """What to call instead of `denoiser` in one pass of so many steps, so that ControlNets act.

        acting: from `ControlNetwork.acting`. order: how often it is called in each step.
        """

    def condition(self, encoded: Encoded, size: tuple[int, int], image: Any | None) -> Conditioning:
        """The conditioning of one pass, or of the steps of it that have these prompts.

        size: width and height in pixels. image: what the denoiser is given of pictures, None
        without any: a list of a reference image's embeddings as the denoiser's IP-Adapter layers
        take them, with as many rows as the prompts, or what the family itself makes of pictures.
        """

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of one image's latents, batch axis 1. size: width and height in pixels."""

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents from the VAE's scale to the denoiser's."""

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        """Pixels from -1 to 1, shape (1, 3, height, width), of latents of `latent_shape`.

        latents: in the dtype of the VAE. tiled: in tiles of TILE pixels per side.
        """

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Any:
        """The VAE's distribution of the latents of `pixels`, which are as those of `decode`."""

    def previewed(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Latents from the denoiser's scale to the one that `preview` maps to colours."""

    def rehearse(self, model: LoadedModel, place: Place, denoiser: Any, shape: Shape) -> None:
        """Call `denoiser` once as for an image of `shape`, so that it is compiled for it.

        Only called for a family with `usual_tokens`.
        """
