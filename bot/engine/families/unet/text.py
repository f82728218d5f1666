"""CLIP text encoders over every chunk of a prompt. Imports torch."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Final, Protocol

import torch

from bot.engine.families.family import Recall, Tensors
from bot.engine.families.unet.chunks import ROOM, TOKENS, VECTOR, Chunk, Token, split
from bot.errors import JobFailed
from bot.request.emphasis import PARTS_MAX, WEIGHT_MAX, WEIGHT_MIN, parse
from catalog import Words

_RESTORED_MAX = 10.0
"""The mean is restored by a factor of 1/10 to 10; beyond that, it came too close to 0."""

Ids = tuple[int, ...]
"""The TOKENS numbers that an encoder reads for a chunk."""
Learned = Mapping[int, torch.Tensor]
"""Vectors by position, read instead of the encoder's own for the tokens there."""


@dataclass(frozen=True, slots=True)
class Inversions:
    """Words that stand for vectors (textual inversion).

    words: each with the number of its embedding. vectors: of each embedding, for every encoder,
    shape (tokens, width of the encoder).
    """

    words: Words[int]
    vectors: Sequence[tuple[torch.Tensor, ...]]


NONE: Final = Inversions(Words(), ())


def afresh(_: Hashable, run: Callable[[], Tensors]) -> Tensors:
    """A Recall that remembers nothing, for text encoders that are always there."""
    return run()


class Reading(Protocol):
    """How a family's text encoders read one chunk."""

    def __call__(self, ids: Sequence[Ids], layer: int, learned: Sequence[Learned]) -> Tensors:
        """The states of every encoder, shape (1, 77, width); then what else is conditioned on.

        ids, learned: for every encoder. layer: as in `encode`.
        """


def encode(
    tokenizers: Sequence[Any],
    texts: Iterable[str],
    layer: int,
    read: Reading,
    inversions: Inversions = NONE,
    recall: Recall = afresh,
) -> dict[str, Tensors]:
    """Encode the texts of one pass, in the syntax of `bot.request.emphasis`.

    tokenizers: of every encoder; they share a vocabulary.
    texts: possibly empty; of several that are the same, one is encoded.
    layer: to take of all, counted from the last, which is 1: clip skip is for negative prompts as
        well, as in AUTOMATIC1111 and ComfyUI. In diffusers it is for the prompt only.
    inversions: what stands for vectors in a text; each vector is a token.
    recall: gets each chunk, without the weights of its tokens, which count only afterwards.

    Raises JobFailed when any fills more than PARTS_MAX chunks.

    Returns, for each, the states of all encoders side by side, shape (1, 77 · chunks, widths), and
    what else `read` returns, of the first chunk; dtype and device are the encoders'. All are padded
    with empty chunks to the longest of them, so that shapes stay the same while the texts change.
    Without weights and with at most ROOM tokens, they are what diffusers' pipelines condition on,
    bit for bit.
    """
    chunks = {text: _chunks(tokenizers[0], text, inversions) for text in dict.fromkeys(texts)}
    longest = max(map(len, chunks.values()))
    return {
        text: _encode_one(
            tokenizers, _filled(each, longest), layer, read, inversions.vectors, recall
        )
        for text, each in chunks.items()
    }


def run(encoder: Any, ids: Ids, learned: Learned) -> Any:
    """The output of `encoder` for one chunk, with the states of all layers."""
    with _reading(encoder, learned):
        return encoder(torch.tensor([ids], device=encoder.device), output_hidden_states=True)


def _chunks(tokenizer: Any, text: str, inversions: Inversions) -> tuple[Chunk, ...]:
    (comma,) = tokenizer(",", add_special_tokens=False).input_ids
    parts: list[list[Token]] = []
    for part, spans in groupby(parse(text), lambda span: span.part):
        parts.extend([] for _ in range(part - len(parts)))
        parts.append(
            [
                token
                for span in spans
                for token in _tokens(tokenizer, span.text, span.weight, inversions)
            ]
        )
    chunks = split(parts, comma)
    if len(chunks) > PARTS_MAX:
        raise JobFailed("prompt.chunks", value=len(chunks), max=PARTS_MAX, room=ROOM)
    return chunks


def _tokens(tokenizer: Any, text: str, weight: float, inversions: Inversions) -> Iterator[Token]:
    begin = 0
    for hit in inversions.words.find(text):
        yield from _words(tokenizer, text[begin : hit.start], weight)
        rows = len(inversions.vectors[hit.meaning][0])
        yield from (Token(VECTOR, weight, hit.meaning, row) for row in range(rows))
        begin = hit.end
    yield from _words(tokenizer, text[begin:], weight)


def _words(tokenizer: Any, text: str, weight: float) -> Iterator[Token]:
    for id_ in tokenizer(text, add_special_tokens=False).input_ids:
        yield Token(id_, weight)


def _filled(chunks: tuple[Chunk, ...], count: int) -> tuple[Chunk, ...]:
    return chunks + ((),) * (count - len(chunks))


def _encode_one(
    tokenizers: Sequence[Any],
    chunks: tuple[Chunk, ...],
    layer: int,
    read: Reading,
    vectors: Sequence[tuple[torch.Tensor, ...]],
    recall: Recall,
) -> Tensors:
    """What `encode` returns for one text of these `chunks`.

    One chunk at a time, so that its bits do not depend on its neighbours and shapes never change.
    """
    count = len(tokenizers)

    @cache
    def encoded(chunk: Chunk) -> tuple[torch.Tensor, Tensors]:
        learned = [_learned(chunk, vectors, which) for which in range(count)]
        ids = [_ids(tokenizer, chunk) for tokenizer in tokenizers]
        told = (*ids, layer, *map(_digest, learned))
        states = recall(told, lambda: read(ids, layer, learned))
        weights = [1.0, *(token.weight for token in chunk), *[1.0] * (TOKENS - 1 - len(chunk))]
        weighted = [emphasized(each, weights) for each in states[:count]]
        return torch.concat(weighted, dim=-1), states[count:]

    return torch.concat([encoded(chunk)[0] for chunk in chunks], dim=1), *encoded(chunks[0])[1]


def _learned(
    chunk: Chunk, vectors: Sequence[tuple[torch.Tensor, ...]], which: int
) -> dict[int, torch.Tensor]:
    """The vectors in a chunk by position, for the encoder of this number."""
    return {
        place: vectors[token.embedding][which][token.row]
        for place, token in enumerate(chunk, 1)
        if token.id == VECTOR
    }


def _digest(learned: Learned) -> bytes:
    """SHA-256 of the vectors and their positions."""
    seen = hashlib.sha256()
    for place, vector in learned.items():
        seen.update(f"{place} {vector.dtype} {tuple(vector.shape)}\n".encode())
        seen.update(vector.contiguous().view(torch.uint8).numpy().data)
    return seen.digest()


def _ids(tokenizer: Any, chunk: Chunk) -> Ids:
    return (
        tokenizer.bos_token_id,
        # Any id but those of the start and the end, where the pooled output is taken.
        *(0 if token.id == VECTOR else token.id for token in chunk),
        tokenizer.eos_token_id,
        *[tokenizer.pad_token_id] * (ROOM - len(chunk)),
    )


@contextmanager
def _reading(encoder: Any, learned: Learned) -> Iterator[None]:
    """Let `encoder` read these vectors, by position, instead of its own for the tokens there."""
    if not learned:
        yield
        return

    def replace(_: Any, __: Any, looked_up: torch.Tensor) -> torch.Tensor:
        looked_up = looked_up.clone()
        for place, vector in learned.items():
            looked_up[:, place] = vector.to(looked_up)
        return looked_up

    hook = encoder.get_input_embeddings().register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


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
