"""Say what a folder in diffusers' layout is, by its configurations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog.weight_files import evidence, quantisation
from catalog.weight_files.json_object import NotAnObject, json_object
from catalog.weight_files.prediction import UnknownTraining
from catalog.weight_files.refusal import (
    ONLY_SDXL,
    Refusal,
    unclear_training,
    unreadable_weights,
)

INDEX: Final = "model_index.json"
READ: Final = (INDEX, "unet/config.json")
"""The files that decide what a folder is."""
WATCHED: Final = (*READ, "scheduler/scheduler_config.json")
CONFIGURATION_MAX: Final = 1_000_000
"""Bytes of one configuration; published ones have a few thousand."""

_MODEL: Final = "SDXL model"
_OURS: Final = "StableDiffusionXL"
_ANY_PIPELINE: Final = ("DiffusionPipeline", "LatentConsistencyModelPipeline")
_ENCODERS: Final = ("CLIPTextModel", "CLIPTextModelWithProjection")
_PARTS: Final = {
    "unet": ("UNet2DConditionModel",),
    **dict.fromkeys(("text_encoder", "text_encoder_2"), _ENCODERS),
}
"""Part of a pipeline → the classes that it may have."""
_CONTEXT: Final = {768: "SD 1.5", 1024: "SD 2", 1280: "SDXL refiner"}
_TASKS: Final = {9: "SDXL inpainting", 8: "SDXL instruct-pix2pix"}
_REFINER_SIZES: Final = 2560
_CHANNELS: Final = 4
_NAME_MAX: Final = 60
_NOT_OF_A_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class ConfigurationError(Exception):
    """A configuration cannot be read; the message says why."""


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

    refusal: why it cannot be used; None if it can, as far as it tells.
    prediction: what it was trained to predict, as in `ModelEntry`; None if it cannot be used.
    """

    refusal: Refusal | None = None
    prediction: str | None = None


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
            return FolderFacts(Refusal("folder that cannot be read", str(error)))
    if "" in found and (what := kind_of_pipeline(found[""])):
        return FolderFacts(Refusal(what))
    if "unet" in found and (what := kind_of_unet(found["unet"])):
        return FolderFacts(Refusal(f"{what} model", ONLY_SDXL))
    if reason := quantisation.config_refusal(found.get("unet", {})):
        return FolderFacts(unreadable_weights(_MODEL, reason))
    try:
        return FolderFacts(prediction=evidence.of_folder(folder).prediction)
    except UnknownTraining as error:
        return FolderFacts(unclear_training(_MODEL, evidence.unclear(error)))


def kind_of_pipeline(index: Mapping[str, Any]) -> str:
    """What a `model_index.json` is for, if not for SDXL; "" if it is, or does not say."""
    name = index.get("_class_name")
    if name is None:
        return ""
    if not isinstance(name, str):
        return "model with code of its own"
    if not (name.startswith(_OURS) or name in _ANY_PIPELINE):
        return f"{_plain(name.removesuffix('Pipeline'))} model"
    for part, classes in _PARTS.items():
        match index.get(part, ["", classes[0]]):
            case [None, None]:
                return f"SDXL model without {part}"
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


def kind_of_unet(config: Mapping[str, Any]) -> str:
    """What the UNet with this configuration is, if not SDXL's; "" if it is."""
    channels, context = (
        value if isinstance(value, int) else 0
        for value in (config.get("in_channels", 4), config.get("cross_attention_dim"))
    )
    if config.get("encoder_hid_dim_type") is not None:
        return "Kolors"
    if config.get("addition_embed_type") != "text_time":
        task = "" if channels == _CHANNELS else f" ({channels} channels)"
        return _CONTEXT.get(context, "unknown") + task
    if config.get("time_cond_proj_dim") is not None:
        return "SDXL guidance-distilled"
    if config.get("projection_class_embeddings_input_dim") == _REFINER_SIZES or context == 1280:
        return "SDXL refiner"
    if channels != _CHANNELS:
        return _TASKS.get(channels, f"SDXL ({channels} channels)")
    return ""
