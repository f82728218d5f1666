"""The text encoder of SD 1.5. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.families.family import Recall, Tensors
from bot.engine.families.unet import text
from bot.engine.families.unet.text import NONE, Ids, Inversions, Learned, afresh

SD15_LAYER: Final = 1
"""SD 1.5 was trained on the last layer; AUTOMATIC1111 calls it "Clip skip: 1"."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts of a job, encoded; dtype and device are the encoder's.

    prompt, negative: shape (1, 77 · chunks, width), the same for both. The negative one is None
    when guidance is off.
    """

    prompt: torch.Tensor
    negative: torch.Tensor | None


def encode(
    tokenizer: Any,
    encoder: Any,
    pairs: Sequence[tuple[str, str | None]],
    clip_skip: int | None,
    inversions: Inversions = NONE,
    recall: Recall = afresh,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass.

    pairs: a prompt and its negative one, text, possibly empty; None when guidance is off.
    clip_skip: the layer of both, counted from the last, as AUTOMATIC1111 does; None is SD15_LAYER,
        and diffusers' `clip_skip` is one less.
    inversions, recall: as in `unet.text.encode`.

    Raises as `unet.text.encode`, whose tensors these are.
    """

    def read(ids: Sequence[Ids], layer: int, learned: Sequence[Learned]) -> Tensors:
        output = text.run(encoder, ids[0], learned[0])
        # Whichever layer it is, the UNet expects states that went through the last norm.
        return (encoder.final_layer_norm(output.hidden_states[-layer]),)

    texts = [one for pair in pairs for one in pair if one is not None]
    found = text.encode([tokenizer], texts, clip_skip or SD15_LAYER, read, inversions, recall)
    return tuple(
        Encoded(*found[prompt], *((None,) if negative is None else found[negative]))
        for prompt, negative in pairs
    )
