"""From words to the tensors that condition the UNet."""

from dataclasses import dataclass
from typing import Any

import torch

SDXL_LAYER = 2
"""SDXL was trained on the penultimate layer; AUTOMATIC1111 calls it "Clip skip: 2"."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts of a job, encoded; dtype and device are the pipeline's.

    prompt, negative: shape (1, 77, width of both encoders); pooled ones: (1, projection width).
        The negative ones are None when guidance is off.
    dropped, negative_dropped: tokens past `limit` that CLIP cannot see.
    limit: tokens of a prompt that it can see, 75.
    """

    prompt: torch.Tensor
    pooled: torch.Tensor
    negative: torch.Tensor | None
    negative_pooled: torch.Tensor | None
    dropped: int
    negative_dropped: int
    limit: int


def encode(pipeline: Any, prompt: str, negative: str | None, clip_skip: int | None) -> Encoded:
    """Encode the words of one job.

    negative: None when guidance is off, else text, possibly empty.
    clip_skip: which layer counted from the last, None = SDXL_LAYER; like diffusers, for the
        prompt only.
    """
    positive, pooled, dropped = _encode_one(pipeline, prompt, clip_skip or SDXL_LAYER)
    other, other_pooled, other_dropped = (
        (None, None, 0) if negative is None else _encode_one(pipeline, negative, SDXL_LAYER)
    )
    limit = pipeline.tokenizer.model_max_length - 2
    return Encoded(positive, pooled, other, other_pooled, dropped, other_dropped, limit)


def _encode_one(pipeline: Any, text: str, layer: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    layers, dropped = [], 0
    for tokenizer, encoder in (
        (pipeline.tokenizer, pipeline.text_encoder),
        (pipeline.tokenizer_2, pipeline.text_encoder_2),
    ):
        room = tokenizer.model_max_length
        dropped = max(dropped, len(tokenizer(text).input_ids) - room)
        tokens = tokenizer(
            text, padding="max_length", max_length=room, truncation=True, return_tensors="pt"
        )
        output = encoder(tokens.input_ids.to(encoder.device), output_hidden_states=True)
        layers.append(output.hidden_states[-layer])
    # The second encoder's first output is the projected one that SDXL conditions on.
    return torch.concat(layers, dim=-1), output[0], dropped


def deepest_clip_skip(pipeline: Any) -> int:
    """The largest `clip_skip` that both text encoders have layers for."""
    encoders = (pipeline.text_encoder, pipeline.text_encoder_2)
    return min(int(encoder.config.num_hidden_layers) for encoder in encoders)
