"""Learned: what stands in a prompt for vectors instead of words. Imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from catalog import EmbeddingFacts
from catalog.embeddings import spellings
from catalog.weight_files import NO_TOKEN, Header, bundled_embeddings


class Tensors(Protocol):
    """The tensors of a file; `patches.file_tensors` documents the methods."""

    def tensor(self, name: str) -> torch.Tensor: ...

    def is_finite(self, name: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Learned:
    """An embedding (textual inversion) that was read.

    vectors: name of a text encoder → shape (tokens, width), float32, finite.
    words: what stands for it in a prompt. unused: names of tensors in its file that have no use.
    """

    vectors: Mapping[str, torch.Tensor]
    words: tuple[str, ...]
    unused: tuple[str, ...] = ()

    @property
    def widths(self) -> dict[str, int]:
        return {encoder: tensor.shape[1] for encoder, tensor in self.vectors.items()}

    def fits(self, encoders: Mapping[str, Any]) -> bool:
        """Whether it is as wide as these text encoders."""
        return self.widths == widths_of(encoders)


def widths_of(encoders: Mapping[str, Any]) -> dict[str, int]:
    """The width of each text encoder's token embeddings."""
    return {name: int(encoder.config.hidden_size) for name, encoder in encoders.items()}


def vectors_of(facts: EmbeddingFacts, *files: Tensors) -> dict[str, torch.Tensor] | None:
    """The vectors for each text encoder; None if some number is NaN or infinite.

    files: the one with all of them, or one for each text encoder.
    """
    apart = files if len(files) > 1 else files * len(facts.parts)
    vectors = {}
    for (encoder, name), file in zip(facts.parts.items(), apart, strict=True):
        if not file.is_finite(name):
            return None
        vectors[encoder] = file.tensor(name).reshape(facts.vectors, -1).float()
    return vectors


def bundled(header: Header, contents: Tensors) -> tuple[dict[str, Learned], tuple[str, ...]]:
    """The embeddings inside a LoRA by token, and the names of their tensors that have no use."""
    found: dict[str, Learned] = {}
    unused: list[str] = []
    for token, facts in bundled_embeddings(header).items():
        vectors = None if facts.flaw else vectors_of(facts, contents)
        if vectors:
            found[token] = Learned(vectors, spellings(token) if token != NO_TOKEN else ())
        else:
            unused += facts.parts.values()
        unused += facts.unused
    return found, tuple(unused)
