"""SDXL's two text encoders over every chunk of a prompt. Imports torch."""

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import torch

from bot.engine.families.sdxl.chunks import ROOM, Chunk, Token, split
from bot.errors import JobFailed
from bot.request.emphasis import PARTS_MAX, WEIGHT_MAX, WEIGHT_MIN, parse

SDXL_LAYER = 2
"""SDXL was trained on the penultimate layer; AUTOMATIC1111 calls it "Clip skip: 2"."""

_RESTORED_MAX = 10.0
"""The mean is restored by a factor of 1/10 to 10; beyond that, it came too close to 0."""


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
    The negative ones are None when guidance is off.
    """

    prompt: torch.Tensor
    pooled: torch.Tensor
    negative: torch.Tensor | None
    negative_pooled: torch.Tensor | None


def encode(encoders: Encoders, prompt: str, negative: str | None, clip_skip: int | None) -> Encoded:
    """Encode the prompts of one job, in the syntax of `bot.request.emphasis`.

    negative: None when guidance is off, else text, possibly empty.
    clip_skip: the layer, counted from the last; None is SDXL_LAYER. As in diffusers, it applies to
        the prompt only.

    Raises JobFailed when either fills more than PARTS_MAX chunks.

    The shorter of the two is padded with empty chunks. Without weights and with at most ROOM
    tokens, the tensors equal those of `StableDiffusionXLPipeline.encode_prompt` bit for bit.
    """
    chunks = _chunks(encoders, prompt)
    if negative is None:
        return Encoded(*_encode_one(encoders, chunks, clip_skip or SDXL_LAYER), None, None)
    others = _chunks(encoders, negative)
    count = max(len(chunks), len(others))
    return Encoded(
        *_encode_one(encoders, _filled(chunks, count), clip_skip or SDXL_LAYER),
        *_encode_one(encoders, _filled(others, count), SDXL_LAYER),
    )


def deepest_clip_skip(encoders: Encoders) -> int:
    """The largest `clip_skip` that both text encoders have layers for."""
    both = (encoders.text_encoder, encoders.text_encoder_2)
    return min(int(encoder.config.num_hidden_layers) for encoder in both)


def _chunks(encoders: Encoders, text: str) -> tuple[Chunk, ...]:
    tokenize = encoders.tokenizer
    (comma,) = tokenize(",", add_special_tokens=False).input_ids
    parts: list[list[Token]] = []
    for part, spans in groupby(parse(text), lambda span: span.part):
        parts.extend([] for _ in range(part - len(parts)))
        parts.append(
            [
                Token(id_, span.weight)
                for span in spans
                for id_ in tokenize(span.text, add_special_tokens=False).input_ids
            ]
        )
    chunks = split(parts, comma)
    if len(chunks) > PARTS_MAX:
        raise JobFailed("prompt.chunks", value=len(chunks), max=PARTS_MAX, room=ROOM)
    return chunks


def _filled(chunks: tuple[Chunk, ...], count: int) -> tuple[Chunk, ...]:
    return chunks + ((),) * (count - len(chunks))


def _encode_one(
    encoders: Encoders, chunks: tuple[Chunk, ...], layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The embeddings of all `chunks`, shape (1, 77 · chunks, width), and the first's pooled one.

    One chunk at a time, so that its bits do not depend on its neighbours and shapes never change.
    """

    @cache
    def read(chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
        first, _ = _read(encoders.tokenizer, encoders.text_encoder, chunk, layer)
        # The second encoder's first output is the projected one that SDXL conditions on.
        second, pooled = _read(encoders.tokenizer_2, encoders.text_encoder_2, chunk, layer)
        return torch.concat([first, second], dim=-1), pooled

    return torch.concat([read(chunk)[0] for chunk in chunks], dim=1), read(chunks[0])[1]


def _read(
    tokenizer: Any, encoder: Any, chunk: Chunk, layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of `layer`, weighted, shape (1, 77, width), and the encoder's first output."""
    padding = [tokenizer.pad_token_id] * (ROOM - len(chunk))
    ids = [
        tokenizer.bos_token_id,
        *(token.id for token in chunk),
        tokenizer.eos_token_id,
        *padding,
    ]
    output = encoder(torch.tensor([ids], device=encoder.device), output_hidden_states=True)
    weights = [1.0, *(token.weight for token in chunk), 1.0, *(1.0 for _ in padding)]
    return emphasized(output.hidden_states[-layer], weights), output[0]


def emphasized(states: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """Multiply each token's state by its weight, then restore the mean over the whole chunk.

    states: shape (1, tokens, width), of one chunk and one encoder. weights: one per token, limited
    to WEIGHT_MIN … WEIGHT_MAX. All 1.0 gives `states` itself, untouched. The pooled embedding is
    never weighted.

    This is AUTOMATIC1111's emphasis mode "Original". Where the mean comes close to 0 or changes its
    sign, restoring it would blow up or invert the chunk, so it is not (its mode "No norm").
    """
    if all(weight == 1.0 for weight in weights):
        return states
    exact = states.float()
    factors = torch.tensor(weights, device=states.device).clamp(WEIGHT_MIN, WEIGHT_MAX)
    weighted = exact * factors[:, None]
    restored = exact.mean() / weighted.mean()
    sound = (restored >= 1 / _RESTORED_MAX) & (restored <= _RESTORED_MAX)  # not so for NaN
    return (weighted * torch.where(sound, restored, 1.0)).to(states.dtype)
