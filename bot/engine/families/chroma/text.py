"""Chroma's text encoder: T5, of which the transformer sees one token of padding. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import t5
from bot.engine.families.family import Recall, Tensors
from bot.engine.families.qwen3 import narrowed
from catalog.families.chroma import CHROMA as FACTS

TOKENS: Final = FACTS.prompt.tokens
"""Of every prompt there is room for; the transformer sees those that are there, and one of padding
after them, as it was trained (lodestone-rock/flow src/models/chroma/utils.py, `modify_mask_to_
attend_padding`)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts, encoded: shape (1, tokens, width of the encoder), device of the encoder.

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

    encoder: a T5EncoderModel. pairs: a prompt and its negative one, possibly empty; None when
    guidance is off. dtype: of the transformer. model: for errors.

    Raises JobFailed for a text of more tokens than there is room for.

    The tensors equal those of diffusers' `ChromaPipeline.encode_prompt` bit for bit, where the
    encoder has the transformer's dtype and `max_sequence_length` leaves room for one token of
    padding. With more of it, those that a mask leaves are the same up to rounding.
    """

    @cache
    def encoded(text: str) -> torch.Tensor:
        ids = t5.ids(tokenizer, text, TOKENS, model, known=encoder.config.vocab_size)
        room = min(len(ids) + 1, TOKENS)

        def run() -> Tensors:
            return (t5.states(encoder, tokenizer.pad_token_id, ids, room, masked=True),)

        (found,) = recall(ids, run)
        return narrowed(found, dtype)

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative))
        for prompt, negative in pairs
    )
