"""Which files make up a model of a family in diffusers' layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

VAE: Final = "vae"
"""The autoencoder's folder, the same in every pipeline of diffusers."""
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
    index: str = "model_index.json"


def pipeline_files(
    weights: Mapping[str, str], tokenizers: Sequence[str], index: str = "model_index.json"
) -> PipelineFiles:
    """Of a pipeline with a scheduler. weights: see PipelineFiles. tokenizers: their folders."""
    return PipelineFiles(weights, (*weights, "scheduler", *tokenizers), index)
