"""SDXL's two text encoders over every chunk of a prompt. Imports torch."""

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, Final

import torch

from bot.engine.families.family import Recall, Tensors
from bot.engine.families.sdxl.chunks import ROOM, TOKENS, VECTOR, Chunk, Token, split
from bot.errors import JobFailed
from bot.request.emphasis import PARTS_MAX, WEIGHT_MAX, WEIGHT_MIN, parse
from catalog import Words

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
class Inversions:
    """Words that stand for vectors (textual inversion).

    words: each with the number of its embedding. vectors: of each embedding, for both encoders,
    shape (tokens, width of the encoder).
    """

    words: Words[int]
    vectors: Sequence[tuple[torch.Tensor, torch.Tensor]]


NONE: Final = Inversions(Words(), ())


def afresh(_: Hashable, run: Callable[[], Tensors]) -> Tensors:
    """A Recall that remembers nothing, for text encoders that are always there."""
    return run()


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


def encode(
    encoders: Encoders,
    pairs: Sequence[tuple[str, str | None]],
    clip_skip: int | None,
    inversions: Inversions = NONE,
    recall: Recall = afresh,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass, in the syntax of `bot.request.emphasis`.

    pairs: a prompt and its negative one, text, possibly empty; None when guidance is off. Of
        several, each text is encoded once.
    clip_skip: the layer, counted from the last; None is SDXL_LAYER. As in diffusers, it applies to
        the prompt only.
    inversions: what stands for vectors in either prompt; each vector is a token.
    recall: gets each chunk, without the weights of its tokens, which count only afterwards.

    Raises JobFailed when any fills more than PARTS_MAX chunks.

    All are padded with empty chunks to the longest of them, so that shapes stay the same while
    the texts change. Without weights and with at most ROOM
    tokens, the tensors equal those of `StableDiffusionXLPipeline.encode_prompt` bit for bit.
    """

    chunks = {
        text: _chunks(encoders, text, inversions)
        for text in dict.fromkeys(text for pair in pairs for text in pair if text is not None)
    }
    longest = max(map(len, chunks.values()))

    @cache
    def encoded(text: str, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        filled = _filled(chunks[text], longest)
        return _encode_one(encoders, filled, layer, inversions.vectors, recall)

    return tuple(
        Encoded(
            *encoded(prompt, clip_skip or SDXL_LAYER),
            *((None, None) if negative is None else encoded(negative, SDXL_LAYER)),
        )
        for prompt, negative in pairs
    )


def deepest_clip_skip(encoders: Encoders) -> int:
    """The largest `clip_skip` that both text encoders have layers for."""
    both = (encoders.text_encoder, encoders.text_encoder_2)
    return min(int(encoder.config.num_hidden_layers) for encoder in both)


def _chunks(encoders: Encoders, text: str, inversions: Inversions) -> tuple[Chunk, ...]:
    (comma,) = encoders.tokenizer(",", add_special_tokens=False).input_ids
    parts: list[list[Token]] = []
    for part, spans in groupby(parse(text), lambda span: span.part):
        parts.extend([] for _ in range(part - len(parts)))
        parts.append(
            [
                token
                for span in spans
                for token in _tokens(encoders.tokenizer, span.text, span.weight, inversions)
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
    encoders: Encoders,
    chunks: tuple[Chunk, ...],
    layer: int,
    vectors: Sequence[tuple[torch.Tensor, torch.Tensor]],
    recall: Recall,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The embeddings of all `chunks`, shape (1, 77 · chunks, width), and the first's pooled one.

    One chunk at a time, so that its bits do not depend on its neighbours and shapes never change.
    """

    @cache
    def read(chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
        firsts, seconds = _learned(chunk, vectors)
        ids, ids_2 = (_ids(each, chunk) for each in (encoders.tokenizer, encoders.tokenizer_2))

        def run() -> Tensors:
            first, _ = _read(encoders.text_encoder, ids, layer, firsts)
            # The second encoder's first output is the projected one that SDXL conditions on.
            second, pooled = _read(encoders.text_encoder_2, ids_2, layer, seconds)
            return first, second, pooled

        told = (ids, ids_2, layer, _digest(firsts), _digest(seconds))
        first, second, pooled = recall(told, run)
        weights = [1.0, *(token.weight for token in chunk), *[1.0] * (TOKENS - 1 - len(chunk))]
        states = [emphasized(first, weights), emphasized(second, weights)]
        return torch.concat(states, dim=-1), pooled

    return torch.concat([read(chunk)[0] for chunk in chunks], dim=1), read(chunks[0])[1]


def _learned(
    chunk: Chunk, vectors: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
    """The vectors in a chunk by position, for the first encoder and for the second."""
    places = {place: token for place, token in enumerate(chunk, 1) if token.id == VECTOR}
    first, second = (
        {place: vectors[token.embedding][which][token.row] for place, token in places.items()}
        for which in (0, 1)
    )
    return first, second


def _digest(learned: Mapping[int, torch.Tensor]) -> bytes:
    """SHA-256 of the vectors and their positions."""
    seen = hashlib.sha256()
    for place, vector in learned.items():
        seen.update(f"{place} {vector.dtype} {tuple(vector.shape)}\n".encode())
        seen.update(vector.contiguous().view(torch.uint8).numpy().data)
    return seen.digest()


def _ids(tokenizer: Any, chunk: Chunk) -> tuple[int, ...]:
    """The TOKENS numbers that an encoder reads for `chunk`."""
    return (
        tokenizer.bos_token_id,
        # Any id but those of the start and the end, where the pooled output is taken.
        *(0 if token.id == VECTOR else token.id for token in chunk),
        tokenizer.eos_token_id,
        *[tokenizer.pad_token_id] * (ROOM - len(chunk)),
    )


@contextmanager
def _reading(encoder: Any, learned: Mapping[int, torch.Tensor]) -> Iterator[None]:
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


def _read(
    encoder: Any, ids: tuple[int, ...], layer: int, learned: Mapping[int, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of `layer`, shape (1, 77, width), and the encoder's first output."""
    with _reading(encoder, learned):
        output = encoder(torch.tensor([ids], device=encoder.device), output_hidden_states=True)
    return output.hidden_states[-layer], output[0]


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
