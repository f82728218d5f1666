"""FLUX.1's two text encoders: T5 for the words, CLIP for the whole. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import t5
from bot.engine.families.family import Recall
from bot.engine.families.qwen3 import narrowed
from catalog.families.flux1 import FLUX1 as FACTS

TOKENS: Final = FACTS.prompt.tokens
"""Of every prompt that T5 reads, the rest being padding, which T5 and the transformer see as
well."""
TOKENS_OF_SCHNELL: Final = next(filter(None, (each.tokens for each in FACTS.variants)))
"""The same of schnell, which was trained with so many (black-forest-labs/flux src/flux/cli.py,
`load_t5`)."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text, encoded, on the device of the encoders.

    states: T5's, shape (1, tokens, width). pooled: CLIP's, shape (1, its width).
    """

    states: torch.Tensor
    pooled: torch.Tensor


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts, encoded.

    negative: None where there is no difference between two evaluations to guide by.
    guidance: that the transformer is told; None for one that is told none.
    """

    prompt: Text
    negative: Text | None
    guidance: float | None


@dataclass(frozen=True, slots=True)
class Encoders:
    """What a text goes through: CLIP's tokenizer and a CLIPTextModel, T5's and a T5EncoderModel."""

    words: Any
    clip: Any
    pieces: Any
    t5: Any


def tokens(*, guided: bool) -> int:
    """How many tokens of T5 a transformer is given. guided: whether it is told its guidance, as all
    are but schnell."""
    return TOKENS if guided else TOKENS_OF_SCHNELL


def encode(
    encoders: Encoders,
    pairs: Sequence[tuple[str, str | None]],
    guidance: float | None,
    dtype: torch.dtype,
    recall: Recall,
    model: str,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass. Of several, each text is encoded once.

    pairs: a prompt and its negative one, possibly empty; None where there is none, see Encoded.
    dtype: of the transformer. guidance: see Encoded. model: for errors.

    T5 reads all of a prompt. CLIP reads what its positions have room for, as in every other
    program: the transformer is given nothing of it but one vector.

    Raises JobFailed for a text of more tokens than there is room for.

    The tensors equal those of diffusers' `FluxPipeline.encode_prompt` bit for bit, where the
    encoders have the transformer's dtype.
    """
    room = tokens(guided=guidance is not None)

    @cache
    def encoded(text: str) -> Text:
        known = encoders.t5.config.vocab_size
        pieces = t5.ids(encoders.pieces, text, room, model, known=known)
        words = _words(encoders, text)
        padding = encoders.pieces.pad_token_id

        def states() -> tuple[torch.Tensor]:
            return (t5.states(encoders.t5, padding, pieces, room, masked=False),)

        def pooled() -> tuple[torch.Tensor]:
            seen = torch.tensor([words], device=encoders.clip.device)
            return (encoders.clip(seen).pooler_output,)

        (found,), (whole,) = recall((pieces, room), states), recall(words, pooled)
        return Text(narrowed(found, dtype), narrowed(whole, dtype))

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative), guidance)
        for prompt, negative in pairs
    )


def _words(encoders: Encoders, text: str) -> tuple[int, ...]:
    """CLIP's tokens of `text`, as many as it has positions."""
    read = encoders.words(
        text,
        padding="max_length",
        max_length=encoders.clip.config.max_position_embeddings,
        truncation=True,
    )
    return tuple(read.input_ids)
