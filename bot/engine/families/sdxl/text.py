"""SDXL's two text encoders. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from bot.engine.families.family import Recall, Tensors
from bot.engine.families.unet import text
from bot.engine.families.unet.text import NONE, Ids, Inversions, Learned, afresh

SDXL_LAYER: Final = 2
"""SDXL was trained on the penultimate layer; AUTOMATIC1111 calls it "Clip skip: 2"."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """The text encoders and tokenizers of an SDXL pipeline; the tokenizers share a vocabulary."""

    tokenizer: Any
    tokenizer_2: Any
    text_encoder: Any
    text_encoder_2: Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts of a job, encoded; dtype and device are the encoders'.

    prompt, negative: shape (1, 77 · chunks, width of both encoders), the same for both.
    pooled, negative_pooled: shape (1, projection width), of the first chunk.
    The negative ones are None when guidance is off, and may be zeros; see `encode`.
    """

    prompt: torch.Tensor
    pooled: torch.Tensor
    negative: torch.Tensor | None
    negative_pooled: torch.Tensor | None


def encode(
    encoders: Encoders,
    pairs: Sequence[tuple[str, str | None]],
    clip_skip: int | None,
    inversions: Inversions = NONE,
    recall: Recall = afresh,
    *,
    force_zeros: bool,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass.

    pairs: a prompt and its negative one, text, possibly empty; None when guidance is off.
    clip_skip: the layer of both, counted from the last; None is SDXL_LAYER, and diffusers'
        `clip_skip` is two less.
    inversions, recall: as in `unet.text.encode`.
    force_zeros: whether an empty negative prompt is zeros, which no text encoder is needed for.
        SDXL was trained so: a prompt that was dropped was zeros. It is what Stability's code
        (`force_uc_zero_embeddings`), AUTOMATIC1111 and diffusers do without a negative prompt.

    Raises as `unet.text.encode`, whose tensors these are.
    """

    def read(ids: Sequence[Ids], layer: int, learned: Sequence[Learned]) -> Tensors:
        first = text.run(encoders.text_encoder, ids[0], learned[0])
        second = text.run(encoders.text_encoder_2, ids[1], learned[1])
        # The second encoder's first output is the projected one that SDXL conditions on.
        return first.hidden_states[-layer], second.hidden_states[-layer], second[0]

    def zeroed(negative: str) -> bool:
        return force_zeros and not negative.strip()

    texts = [prompt for prompt, _ in pairs]
    texts += [wrong for _, wrong in pairs if wrong is not None and not zeroed(wrong)]
    tokenizers = (encoders.tokenizer, encoders.tokenizer_2)
    found = text.encode(tokenizers, texts, clip_skip or SDXL_LAYER, read, inversions, recall)

    def without(prompt: str, negative: str | None) -> tuple[torch.Tensor | None, ...]:
        if negative is None:
            return None, None
        if zeroed(negative):
            return tuple(map(torch.zeros_like, found[prompt]))
        return found[negative]

    return tuple(Encoded(*found[prompt], *without(prompt, wrong)) for prompt, wrong in pairs)
