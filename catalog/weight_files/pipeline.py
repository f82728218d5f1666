"""Say what a folder in diffusers' layout is, by its configurations."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog.families import FAMILIES
from catalog.families.files import INDEX, MODULAR_INDEX
from catalog.families.flux import FLUX
from catalog.families.recognition import Transformer, UNet
from catalog.families.stated import NOTHING, Stated
from catalog.families.vaes import KL_4, KL_16, KL_32, QWEN
from catalog.weight_files import encoders, evidence, quantisation
from catalog.weight_files.autoencoders import ANOTHER
from catalog.weight_files.json_object import NotAnObject, json_object
from catalog.weight_files.layouts import USABLE
from catalog.weight_files.prediction import UnknownTraining
from catalog.weight_files.refusal import Refusal, unclear_training, unreadable_weights
from catalog.weight_files.stated import in_folder
from catalog.weight_files.unet import GUIDED, UNetFacts, named

INDEXES: Final = (INDEX, MODULAR_INDEX)
READ: Final = (MODULAR_INDEX, INDEX, "unet/config.json", "transformer/config.json")
"""The files that decide what a folder is."""
WATCHED: Final = (*READ, "scheduler/scheduler_config.json")
NETWORK: Final = "config.json"
"""The configuration of a network, in its folder."""
CONFIGURATION_MAX: Final = 1_000_000
"""Bytes of one configuration; published ones have a few thousand."""

_UNETS: Final = tuple(
    (family.architectures[0], recognition.pipelines)
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, UNet) and recognition.pipelines
)
"""Models with a UNet, and what the names of their pipelines begin with, where that tells them."""
_MODULAR: Final = "Modular"
_OF_ANY_UNET: Final = (
    *("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
    *("DiffusionPipeline", "LatentConsistencyModelPipeline"),
)
"""Pipelines of which only the UNet tells the model."""
_NAMES: Final = {
    "StableDiffusion3": "SD 3",
    "FluxFill": f"{FLUX} (Fill)",
    "FluxControl": f"{FLUX} (Control)",
    "FluxPriorRedux": f"{FLUX} Redux",
    "Flux2": "FLUX.2 dev",
    "QwenImage": "Qwen-Image",
    "QwenImageEdit": "Qwen-Image",
    "QwenImageEditPlus": "Qwen-Image",
    "PixArtAlpha": "PixArt",
    "PixArtSigma": "PixArt",
    "HiDreamImage": "HiDream",
    "Ideogram4": "Ideogram 4",
    "StableCascade": "Stable Cascade",
    "StableCascadeCombined": "Stable Cascade",
}
"""Class of a pipeline, without "Pipeline" → what its model is called."""
_USABLE: Final = {
    name: (family, recognition)
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, Transformer)
    for name in (recognition.pipeline, *recognition.others)
}
"""The same for families that have no UNet."""
_ENCODERS: Final = ("CLIPTextModel", "CLIPTextModelWithProjection")
_PARTS: Final = {
    "unet": ("UNet2DConditionModel",),
    **dict.fromkeys(("text_encoder", "text_encoder_2"), _ENCODERS),
}
"""Part of a pipeline → the classes that it may have."""
_TASKS: Final = {9: "inpainting", 8: "instruct-pix2pix"}
_REFINER: Final = 1280
"""Width of the text embeddings that a refiner reads."""
_REFINER_SIZES: Final = 2560
_CHANNELS: Final = 4
_VAES: Final[Mapping[str, tuple[str, int, Mapping[int, str]]]] = {
    "AutoencoderKL": ("latent_channels", 4, {4: KL_4, 16: KL_16}),
    "AutoencoderKLFlux2": ("latent_channels", 32, {32: KL_32}),
    "AutoencoderKLQwenImage": ("z_dim", 16, {16: QWEN}),
}
"""Class of a VAE → the field with its channels, what it is if not given, and what they tell."""
_SCALE_OF_SD3: Final = 1.5305
"""`scaling_factor` of its VAE, whose tensors are like FLUX.1's."""
_NAME_MAX: Final = 60
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class ConfigurationError(Exception):
    """A configuration cannot be read; the message says why."""


def configurations(network: str) -> tuple[str, str]:
    """Where the configuration of a network is in its own folder, or else in a pipeline's."""
    return NETWORK, f"{network}/{NETWORK}"


def read_configuration(file: Path) -> dict[str, Any]:
    """The JSON object in `file`. Raises ConfigurationError, OSError if it cannot be opened."""
    with file.open("rb") as opened:
        raw = opened.read(CONFIGURATION_MAX + 1)
    try:
        return json_object(raw, CONFIGURATION_MAX)
    except NotAnObject as error:
        raise ConfigurationError(f"{file.name} {error}") from None


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a folder in diffusers' layout says about the model in it.

    model: the one of `layouts.USABLE` that it is; "" if it is another, or does not say.
    refusal: why it cannot be used; None if it can, as far as it tells.
    prediction: what it was trained to predict, as in `ModelEntry`; None if it cannot be used.
    zero_snr: whether with zero terminal SNR; None where nothing says.
    stated: about its variant, where the model may be of several.
    """

    model: str = ""
    refusal: Refusal | None = None
    prediction: str | None = None
    zero_snr: bool | None = None
    stated: Stated = NOTHING

    def unfit(self, *, of: Collection[str], prediction: bool) -> Refusal | None:
        """Why it cannot be used as one of the models `of`; None if it can, as far as it tells.

        prediction: whether its entry says what it was trained to predict.
        """
        if self.model and self.model not in of:
            return Refusal(f"{self.model} model")
        if self.refusal and self.refusal.of_training and prediction:
            return None
        return self.refusal


def folder_facts(folder: Path) -> FolderFacts:
    """Judge a folder in diffusers' layout by its configurations.

    Raises OSError if a file is there but cannot be read.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name in READ:
        try:
            found[name.rpartition("/")[0]] = read_configuration(folder / name)
        except FileNotFoundError:
            continue
        except ConfigurationError as error:
            return FolderFacts(refusal=Refusal("folder that cannot be read", str(error)))
    if "" in found and (transformed := _of_transformer(found, folder)):
        return transformed
    if "" in found and (what := kind_of_pipeline(found[""])):
        return FolderFacts(refusal=Refusal(what))
    stated = _stated(str(found.get("", {}).get("_class_name", "")))
    unet = unet_of(found["unet"]) if "unet" in found else UNetFacts(stated)
    if unet.task or (unet.model and unet.model not in USABLE) or stated not in {"", unet.model}:
        return FolderFacts(refusal=Refusal(f"{unet} model"))
    what = f"{unet.model} model".strip()
    if reason := quantisation.config_refusal(found.get("unet", {})):
        return FolderFacts(unet.model, unreadable_weights(what, reason))
    try:
        training = evidence.of_folder(folder)
        return FolderFacts(unet.model, prediction=training.prediction, zero_snr=training.zero_snr)
    except UnknownTraining as error:
        return FolderFacts(unet.model, unclear_training(what, evidence.unclear(error)))


def _of_transformer(found: Mapping[str, Mapping[str, Any]], folder: Path) -> FolderFacts | None:
    """A model of `_USABLE`; None if the index is of another. Raises OSError."""
    index, config = found[""], found.get("transformer", {})
    known = _USABLE.get(str(index.get("_class_name")).removesuffix("Pipeline"))
    if known is None:
        return None
    family, recognition = known
    if other := recognition.folder(index, config):
        return FolderFacts(refusal=Refusal(f"{other} model"))
    model = family.architectures[0]
    if reason := quantisation.config_refusal(config):
        return FolderFacts(model, unreadable_weights(f"{model} model", reason))
    return FolderFacts(model, stated=in_folder(folder, index, config, recognition.others))


def _stated(pipeline: str) -> str:
    """The model with a UNet that a pipeline of this class is for; "" if it does not tell."""
    return next((model for model, start in _UNETS if pipeline.startswith(start)), "")


def kind_of_pipeline(index: Mapping[str, Any]) -> str:
    """What a `model_index.json` is for; "" if for a UNet with CLIP, or if it does not say."""
    name = index.get("_class_name")
    if name is None:
        return ""
    if not isinstance(name, str):
        return "model with code of its own"
    bare = name.removesuffix("Pipeline")
    if bare.endswith(_MODULAR) or not (_stated(name) or name in _OF_ANY_UNET):
        return f"{_NAMES.get(bare) or _plain(bare)} model"
    for part, classes in _PARTS.items():
        match index.get(part, ["", classes[0]]):
            case [None, None]:
                return f"{_stated(name)} model without {part}".strip()
            case [_, str(kind)] if kind in classes:
                continue
            case [_, str(kind)]:
                return f"model whose {part} is of the class {_plain(kind)}"
            case _:
                return f"model whose {part} is unknown"
    return ""


def _plain(name: str) -> str:
    """The letters and digits of a class's name; anyone may write anything there."""
    return _NOT_OF_A_NAME.sub("", name[:_NAME_MAX]) or "unknown"


def kind_of_unet(config: Mapping[str, Any], of: Collection[str]) -> str:
    """What the UNet with this configuration is, if not one of the models `of`; "" if it is."""
    found = unet_of(config)
    return "" if found.model in of and not found.task else str(found)


def unet_of(config: Mapping[str, Any]) -> UNetFacts:
    """The UNet with this configuration."""
    channels, context = (
        value if isinstance(value, int) else 0
        for value in (config.get("in_channels", 4), config.get("cross_attention_dim"))
    )
    task = "" if channels == _CHANNELS else _TASKS.get(channels, f"({channels} channels)")
    if config.get("encoder_hid_dim_type") is not None:
        return UNetFacts("Kolors")
    if config.get("time_cond_proj_dim") is not None:
        task = GUIDED
    if config.get("addition_embed_type") != "text_time":
        return UNetFacts("SDXL refiner" if context == _REFINER else named(context, 0), task)
    if config.get("projection_class_embeddings_input_dim") == _REFINER_SIZES or context == _REFINER:
        return UNetFacts("SDXL refiner")
    # Of those that take sizes, configurations are not judged by the width of the text.
    return UNetFacts(named(0, 1), task)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What the configuration of a network says.

    what: what it is, "" if nothing; of a VAE as in `autoencoders`, of a text encoder as in
        `encoders.kind`.
    quantised: why its weights cannot be read; None if they can, as far as it tells.
    """

    what: str = ""
    quantised: str | None = None


def autoencoder_facts(file: Path) -> NetworkFacts:
    """Judge the `config.json` of a VAE. Raises OSError if it cannot be read."""
    return _network(file, autoencoder_of)


def encoder_facts(file: Path) -> NetworkFacts:
    """Judge the `config.json` of a text encoder. Raises OSError if it cannot be read."""
    return _network(file, encoder_of)


def _network(file: Path, judge: Callable[[Mapping[str, Any]], str]) -> NetworkFacts:
    try:
        config = read_configuration(file)
        return NetworkFacts(judge(config), quantisation.config_refusal(config))
    except ConfigurationError as error:
        return NetworkFacts(f"folder that cannot be read ({error})")


def encoder_of(config: Mapping[str, Any]) -> str:
    """What the text encoder with this configuration is, as in `encoders.kind`; "" if it does not
    say."""
    said = config.get("model_type")
    width = config.get("hidden_size")
    if said == "qwen3" and isinstance(width, int):
        return encoders.kind(encoders.sized(width))
    if said == "t5" and isinstance(width := config.get("d_model"), int):
        return encoders.kind(encoders.sized_t5(width))
    if said == "qwen3_vl":
        return encoders.kind(encoders.sized(encoders.width_of(config), vision=True))
    if said is not None:
        return f"text encoder of the type {_plain(str(said))}"
    name = config.get("_class_name")
    return "" if name is None else f"folder of the class {_plain(str(name))}"


def autoencoder_of(config: Mapping[str, Any]) -> str:
    """What the VAE with this configuration is, as in `autoencoders`; "" if it does not say."""
    name = config.get("_class_name")
    if name is None:
        return ""
    if not isinstance(name, str) or name not in _VAES:
        return f"VAE of the class {_plain(str(name))}"
    field, usual, known = _VAES[name]
    channels = config.get(field, usual)
    found = known.get(channels, ANOTHER) if isinstance(channels, int) else ANOTHER
    of_sd3 = found == KL_16 and config.get("scaling_factor") == _SCALE_OF_SD3
    return "VAE of SD 3" if of_sd3 else found
