"""Anima's two encoders of text: Qwen3, and the conditioner that reads its states. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import qwen3
from bot.engine.families.family import Recall
from bot.errors import JobFailed
from bot.request.emphasis import WEIGHT_MAX, WEIGHT_MIN, Span, parse
from catalog.families.anima import ANIMA as FACTS

TOKENS: Final = FACTS.prompt.tokens
"""Of every prompt there is room for, as Qwen3 splits it and as T5 does. The transformer is given as
many; those that a shorter prompt has not got are zeros."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts, encoded: shape (1, 512, the transformer's width of text), device of the
    encoders.

    negative: None when guidance is off.
    """

    prompt: torch.Tensor
    negative: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Encoders:
    """What a text goes through.

    words: Qwen3's tokenizer. encoder: a Qwen3Model. pieces: T5's tokenizer. conditioner: an
    AnimaTextConditioner.
    """

    words: Any
    encoder: Any
    pieces: Any
    conditioner: Any


def encode(
    encoders: Encoders,
    pairs: Sequence[tuple[str, str | None]],
    dtype: torch.dtype,
    recall: Recall,
    model: str,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass. Of several, each text is encoded once.

    pairs: a prompt and its negative one, possibly empty, in the syntax of `bot.request.emphasis`,
        but BREAK is a word; None when guidance is off.
    dtype: of the transformer. model: for errors.
    recall: gets a text without the weights of its tokens, which count only afterwards.

    Raises JobFailed for a text of more tokens than there is room for.

    Without weights, the tensors equal those of diffusers' `AnimaTextEncoderStep` and
    `AnimaTextConditioningStep` bit for bit, where all networks have one dtype.
    """

    @cache
    def encoded(text: str) -> torch.Tensor:
        spans = parse(text, breaks=False)
        bare = "".join(span.text for span in spans)
        words, pieces = _tokens(encoders, bare, model)
        (found,) = recall((words, pieces), lambda: (_conditioned(encoders, words, pieces),))
        return qwen3.narrowed(_emphasized(found, _weights(encoders.pieces, bare, spans)), dtype)

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative))
        for prompt, negative in pairs
    )


def _tokens(encoders: Encoders, text: str, model: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens of `text` for Qwen3 and, with the one that ends it, for T5. Raises JobFailed."""
    words = tuple(encoders.words(text).input_ids)
    pieces = tuple(encoders.pieces(text).input_ids)
    frame = 1  # the end
    used, room = len(pieces) - frame, TOKENS - frame
    if used <= room and len(words) > TOKENS:
        used, room = len(words), TOKENS
    if used > room:
        raise JobFailed("prompt.tokens", model=model, value=used, max=room)
    known = encoders.conditioner.embed.num_embeddings
    if max(pieces) >= known:
        reason = f"its T5 tokenizer has a token {max(pieces)}, its text conditioner {known} tokens"
        raise JobFailed("model.unreadable", model=model, reason=reason)
    return words, pieces


def _weights(tokenizer: Any, bare: str, spans: Sequence[Span]) -> list[float]:
    """The weight of each of T5's tokens: that of its first character. Empty if all are 1."""
    weights = [span.weight for span in spans for _ in span.text]
    if all(weight == 1.0 for weight in weights):
        return []
    split = tokenizer(bare, return_offsets_mapping=True)
    return [
        next((weights[at] for at in range(*ends) if not bare[at].isspace()), 1.0)
        for ends in split.offset_mapping
    ]


def _emphasized(states: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Multiply what the conditioner gives for each token by its weight, limited to WEIGHT_MIN …
    WEIGHT_MAX, as ComfyUI does (`preprocess_text_embeds` of comfy/ldm/anima/model.py). No mean is
    restored, and what Qwen3 reads has no weights.

    states: from `_conditioned`. weights: of the first tokens; without any, it is `states` itself.
    """
    if not weights:
        return states
    factors = torch.ones(states.shape[1], device=states.device)
    factors[: len(weights)] = torch.tensor(weights).clamp(WEIGHT_MIN, WEIGHT_MAX)
    return states.float() * factors[:, None]


def _conditioned(
    encoders: Encoders, words: tuple[int, ...], pieces: tuple[int, ...]
) -> torch.Tensor:
    """One text for the transformer: shape (1, 512, width).

    One at a time, without padding, so that its bits do not depend on another's.
    """
    encoder, conditioner = encoders.encoder, encoders.conditioner
    if words:
        padding = encoders.words.pad_token_id
        states = qwen3.states(encoder, padding, words, len(words))[-1]
    else:
        # There is nothing to look at, for which zeros stand.
        states = torch.zeros(
            1, 1, encoder.config.hidden_size, device=encoder.device, dtype=encoder.dtype
        )
    ids = torch.tensor([pieces], device=encoder.device)
    found: torch.Tensor = conditioner(
        source_hidden_states=states.to(conditioner.dtype),
        target_input_ids=ids,
        target_attention_mask=torch.ones_like(ids),
        source_attention_mask=torch.ones(states.shape[:2], device=encoder.device),
    )
    return found
