"""FLUX.2 klein's text encoder: Qwen3 (arXiv 2505.09388), read at three depths. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import qwen3
from bot.engine.families.family import Recall, Tensors
from catalog.families.flux2 import FLUX2 as FACTS

LAYERS: Final = (9, 18, 27)
"""The transformer is given what comes out of these, counted from 1; later ones are not used."""
TOKENS: Final = FACTS.prompt.tokens
"""Of every prompt, the rest being padding, which the transformer sees as well."""
TEMPLATE: Final = (
    "<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
"""What stands before and after a prompt: Qwen3's chat template of one message, without thinking."""
MARKS: Final = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
"""What is one token each in the template."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts, encoded: shape (1, 512, 3 · the encoder's width), device of the encoder.

    negative: None when guidance is off.
    """

    prompt: torch.Tensor
    negative: torch.Tensor | None


def encode(
    encoder: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str | None]],
    dtype: torch.dtype,
    recall: Recall,
    model: str,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass. Of several, each text is encoded once.

    encoder: a Qwen3Model of as many layers as LAYERS need. pairs: a prompt and its negative one,
    possibly empty; None when guidance is off. dtype: of the transformer. model: for errors.

    Raises JobFailed for a text of more tokens than there is room for.

    The tensors equal those of diffusers' `Flux2KleinPipeline.encode_prompt` bit for bit, where the
    encoder has the transformer's dtype.
    """

    @cache
    def encoded(text: str) -> torch.Tensor:
        ids = qwen3.ids(tokenizer, TEMPLATE, text, TOKENS, model)

        def run() -> Tensors:
            states = qwen3.states(encoder, tokenizer.pad_token_id, ids, TOKENS)
            return (torch.cat([states[layer] for layer in LAYERS], dim=-1),)

        (found,) = recall((ids, LAYERS), run)
        return qwen3.narrowed(found, dtype)

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative))
        for prompt, negative in pairs
    )
