"""Which files make up a model of a family in diffusers' layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

INDEX: Final = "model_index.json"
MODULAR_INDEX: Final = "modular_model_index.json"
"""Of models that diffusers has as modular pipelines alone; beside the other, it says nothing."""
VAE: Final = "vae"
"""The autoencoder's folder, the same in every pipeline of diffusers."""
TEXT_ENCODER: Final = "text_encoder"
"""That of the text encoder, where a pipeline has but one that others can stand in for."""
OF_DIFFUSERS: Final = "diffusion_pytorch_model"
OF_TRANSFORMERS: Final = "model"
"""What the weight files of a network begin with, by the library that it is from."""


@dataclass(frozen=True, slots=True)
class PipelineFiles:
    """weights: network → what the names of its weight files begin with. folders: those that must be
    there with their configuration; they complete a single-file checkpoint. index: the file that
    lists them.
    """

    weights: Mapping[str, str] = field(hash=False)
    folders: tuple[str, ...]
    index: str = INDEX


def pipeline_files(
    weights: Mapping[str, str], tokenizers: Sequence[str], index: str = INDEX
) -> PipelineFiles:
    """Of a pipeline with a scheduler. weights: see PipelineFiles. tokenizers: their folders."""
    return PipelineFiles(weights, (*weights, "scheduler", *tokenizers), index)
