"""Embeddings: those of a catalog, and how prompts name them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from catalog.families import FAMILIES, Family
from catalog.misfit import Misfit, embedding_misfit
from catalog.schema import EmbeddingEntry, ModelEntry
from catalog.search import Index
from catalog.weight_files import EmbeddingFacts
from catalog.words import Hit, Words

_EXTENSION: Final = re.compile(r"\.(?:safetensors|pt|bin)$", re.IGNORECASE)
_FOLDERS: Final = re.compile(r"^.*[/\\]")


def plain_name(name: str) -> str:
    """`name` as one would call it: without folders and the extension of a file."""
    return _EXTENSION.sub("", _FOLDERS.sub("", name.strip()))


def spellings(token: str) -> tuple[str, ...]:
    """How a prompt may name an embedding inside a LoRA, by its token."""
    return (
        *(f"embedding:{token}{extension}" for extension in ("", ".safetensors", ".pt", ".bin")),
        *(f"<{mark}:{token}>" for mark in ("embedding", "embed")),
        f"<{token}>",
        token,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Every valid entry by key, in the order offered.

    Disabled entries are among them, and are never offered or suggested.
    facts: what their files say, by key, for those on this machine.
    families: of the models that there are.
    """

    entries: Mapping[str, EmbeddingEntry] = field(default_factory=dict)
    facts: Mapping[str, EmbeddingFacts] = field(default_factory=dict, repr=False)
    families: tuple[Family, ...] = (*FAMILIES.values(),)
    _offered: tuple[EmbeddingEntry, ...] = field(init=False, repr=False)
    _index: Index = field(init=False, repr=False)
    _by_name: Mapping[str, str] = field(init=False, repr=False)
    _words: Words[tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        offered = tuple(entry for entry in self.entries.values() if entry.enabled)
        names: dict[str, str] = {}
        for forms in (
            [(key, key) for key in self.entries],
            [(word, key) for key, entry in self.entries.items() for word in entry.words],
            [(entry.name, key) for key, entry in self.entries.items()],
        ):
            for name, key in forms:
                names.setdefault(name.casefold(), key)
        words: dict[str, tuple[str, ...]] = {}
        for entry in offered:
            for word in {word.casefold() for word in entry.words}:
                words[word] = (*words.get(word, ()), entry.key)
        object.__setattr__(self, "_offered", offered)
        object.__setattr__(self, "_index", Index((e.key, e.name) for e in offered))
        object.__setattr__(self, "_by_name", names)
        object.__setattr__(self, "_words", Words(words.items()))

    def misfit(self, key: str, model: ModelEntry | None = None) -> Misfit | None:
        """Why the embedding fits no model; with `model`, why it does not fit that one."""
        facts = self.facts.get(key)
        families = self.families if model is None else (model.family,)
        if facts and (why := embedding_misfit(facts, families)):
            return why
        if model is None:
            return None
        allowed = self.entries[key].models
        if allowed and model.key not in allowed:
            return Misfit("models", ", ".join(allowed), tuple(allowed))
        if model.demo and facts and facts.base:
            # The text encoders of the demo models are smaller than those of their family.
            return Misfit("base", facts.base)
        return None

    def offered(self, *, nsfw: bool, model: ModelEntry | None = None) -> tuple[EmbeddingEntry, ...]:
        """The enabled ones that fit some model. model: only those that fit this one."""
        return tuple(entry for entry in self._offered if self._accepts(entry, nsfw, model))

    def find(self, name: str) -> EmbeddingEntry | None:
        """The one called `name`, ignoring case, offered or not.

        A key, the name of its file, with or without folder and extension, its token or its title.
        """
        for form in (name.strip(), plain_name(name)):
            if key := self._by_name.get(form.casefold()):
                return self.entries[key]
        return None

    def nearest(
        self, text: str, n: int = 3, *, nsfw: bool, model: ModelEntry | None = None
    ) -> tuple[str, ...]:
        """At most `n` keys that a user who typed `text` may have meant, nearest first."""
        numbers = self._index.nearest(
            plain_name(text), lambda i: self._accepts(self._offered[i], nsfw, model), n
        )
        return tuple(self._offered[i].key for i in numbers)

    def words(self, text: str, *, nsfw: bool, model: ModelEntry) -> Iterator[Hit[str]]:
        """The keys, names of files and tokens that stand in `text` as whole words.

        From left to right, none overlapping, each with its key; only those that fit `model`.
        """
        accepts = partial(self._accepts_one, nsfw=nsfw, model=model)
        for hit in self._words.find(text, lambda keys: accepts(keys) is not None):
            yield Hit(hit.start, hit.end, accepts(hit.meaning) or "")

    def word_at(self, text: str, start: int, *, nsfw: bool, model: ModelEntry) -> Hit[str] | None:
        """The longest of these words that begins at `start`."""
        accepts = partial(self._accepts_one, nsfw=nsfw, model=model)
        hit = self._words.at(text, start, lambda keys: accepts(keys) is not None)
        return Hit(hit.start, hit.end, accepts(hit.meaning) or "") if hit else None

    def _accepts_one(self, keys: tuple[str, ...], *, nsfw: bool, model: ModelEntry) -> str | None:
        return next((key for key in keys if self._accepts(self.entries[key], nsfw, model)), None)

    def _accepts(self, entry: EmbeddingEntry, nsfw: bool, model: ModelEntry | None) -> bool:
        return (nsfw or not entry.nsfw) and self.misfit(entry.key, model) is None
