"""Z-Image's text encoder: Qwen3, read before its last layer. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import qwen3
from bot.engine.families.family import Recall, Tensors
from catalog.families.zimage import ZIMAGE as FACTS

TOKENS: Final = FACTS.prompt.tokens
"""Of every prompt there is room for; the transformer sees those that are there."""
TEMPLATE: Final = ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
"""What stands before and after a prompt: Qwen3's chat template of one message."""
MARKS: Final = ("<|im_start|>", "<|im_end|>")
"""What is one token each in the template."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts, encoded: shape (tokens, width of the encoder), device of the encoder.

    negative: None when guidance is off; it may be longer or shorter than the prompt.
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

    encoder: a Qwen3Model without its last layer. pairs: a prompt and its negative one, possibly
    empty; None when guidance is off. dtype: of the transformer. model: for errors.

    Raises JobFailed for a text of more tokens than there is room for.

    The tensors equal those of diffusers' `ZImagePipeline.encode_prompt` bit for bit, where the
    encoder has the transformer's dtype.
    """

    @cache
    def encoded(text: str) -> torch.Tensor:
        ids = qwen3.ids(tokenizer, TEMPLATE, text, TOKENS, model)

        def run() -> Tensors:
            states = qwen3.states(encoder, tokenizer.pad_token_id, ids, TOKENS)
            return (states[-1][0, : len(ids)],)

        (found,) = recall(ids, run)
        return qwen3.narrowed(found, dtype)

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative))
        for prompt, negative in pairs
    )
