"""Find the embeddings (textual inversions) that a prompt names.

    embedding:name   (embedding:name:1.2)   embedding:name.safetensors   as in ComfyUI
    <embed:name>   <embedding:name>   <name>                             as in SwarmUI and InvokeAI
    name                                                                 as in AUTOMATIC1111

What is marked as an embedding has to be one that may be used here. A plain word is one if there is
an embedding of that name here, and is just a word otherwise.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import InvalidRequest, Refused
from bot.request import emphasis
from bot.request.naming import nameable
from bot.request.parts import EmbeddingUse
from bot.request.unread import check_read
from catalog import Catalog, EmbeddingEntry, ModelEntry, Words
from catalog.embeddings import spellings

NAMES_SHOWN: Final = 10
_MARKED: Final = re.compile(
    r"<(?:embedding|embed):(?P<tag>[^<>]*)>|(?<!\w)embedding:(?P<run>[^\s,<>]+|<[^<>\s]*>)",
    re.IGNORECASE,
)
_AFTER_A_NAME: Final = ".;:!?)]}\"'"
_PUNCTUATION: Final = 8
"""How many such characters at the end of a name are tried as part of it, one after another."""
_LETTER: Final = re.compile(r"\w")
_VALUE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where embeddings are named: what fits `model`, and what is not `nsfw` unless that is fine.

    own: what stands for an embedding inside one of the request's LoRAs. These take precedence, and
        the engine finds them by itself.
    """

    catalog: Catalog
    model: ModelEntry
    nsfw: bool
    own: Words[None]


def embeddings_of(
    texts: Sequence[str],
    catalog: Catalog,
    *,
    model: ModelEntry,
    nsfw: bool,
    adapters: Sequence[str],
) -> tuple[EmbeddingUse, ...]:
    """Every embedding that one of `texts` names, once for each way of naming it, in their order.

    adapters: keys of the LoRAs that are applied.
    Raises InvalidRequest if a marked name is unknown, Refused if it may not be used here or does
    not fit `model`.
    """
    if not catalog.embeddings.entries and not any(map(_MARKED.search, texts)):
        return ()
    facts = filter(None, map(catalog.facts, adapters))
    tokens = [token for each in facts for token in each.bundled]
    own = Words((word, None) for token in tokens for word in spellings(token))
    place = Place(catalog, model, nsfw, own)
    uses: dict[str, EmbeddingUse] = {}
    for text in texts:
        for span in emphasis.parse(text):
            for use in _named(span.text, place):
                uses.setdefault(use.word.casefold(), use)
    return tuple(uses.values())


def marked(text: str) -> Iterator[str]:
    """The names that are marked as those of embeddings."""
    for mark in _MARKED.finditer(text):
        yield mark["tag"] if mark["tag"] is not None else mark["run"].rstrip(_AFTER_A_NAME)


def check_embeddings(
    uses: Sequence[EmbeddingUse], catalog: Catalog, *, model: ModelEntry, nsfw: bool
) -> None:
    """Raise if an embedding that an earlier request uses is not offered here any more."""
    place = Place(catalog, model, nsfw, Words())
    for key in dict.fromkeys(use.key for use in uses):
        _check(catalog.embeddings.entries.get(key), key, place)


def _named(text: str, place: Place) -> Iterator[EmbeddingUse]:
    end = 0
    for mark in _MARKED.finditer(text):
        kind = "run" if mark["tag"] is None else "tag"
        name, start = mark[kind], mark.start(kind)
        if mark.start() < end or not _LETTER.search(name):
            continue
        yield from _unmarked(text, end, mark.start(), place)
        end = mark.end()
        if own := place.own.at(text, mark.start()):
            end = own.end
            continue
        if kind == "run":
            name = _called(text, start, name, place)
            end = start + len(name)
        entry = _check(place.catalog.embeddings.find(name), name, place)
        yield EmbeddingUse(entry.key, text[mark.start() : end])
    yield from _unmarked(text, end, len(text), place)


def _unmarked(text: str, start: int, end: int, place: Place) -> Iterator[EmbeddingUse]:
    """The embeddings that stand in a part of a text like any word."""
    embeddings = place.catalog.embeddings
    for hit in embeddings.words(text[start:end], nsfw=place.nsfw, model=place.model):
        first, last = start + hit.start, start + hit.end
        own = place.own.at(text, first)
        if own and own.end >= last:
            continue
        word = text[first:last]
        if text[max(0, first - 1) : last + 1] == f"<{word}>":
            word = f"<{word}>"
        yield EmbeddingUse(hit.meaning, word)


def _called(text: str, start: int, run: str, place: Place) -> str:
    """The name at `start`: `run`, less if punctuation follows it, more if it has spaces."""
    bare = run.rstrip(_AFTER_A_NAME) or run
    name = next(
        (
            run[:end]
            for end in range(len(run), max(len(bare), len(run) - _PUNCTUATION) - 1, -1)
            if place.catalog.embeddings.find(run[:end])
        ),
        bare,
    )
    longer = place.catalog.embeddings.word_at(text, start, nsfw=place.nsfw, model=place.model)
    return text[start : longer.end] if longer and longer.end - start > len(name) else name


def _check(entry: EmbeddingEntry | None, name: str, place: Place) -> EmbeddingEntry:
    """`entry`, if it may be used here; None if `name` is unknown."""
    embeddings, nsfw, model = place.catalog.embeddings, place.nsfw, place.model
    if entry is None:
        name = name[:_VALUE_MAX]
        check_read(place.catalog, name)
        if near := embeddings.nearest(name, nsfw=nsfw, model=model):
            raise InvalidRequest("prompt", "embedding.unknown", value=name, nearest=near)
        offered = embeddings.offered(nsfw=nsfw, model=model)
        if not offered:
            raise InvalidRequest("prompt", "embedding.none", value=name, model=model.key)
        keys = tuple(each.key for each in offered[:NAMES_SHOWN])
        raise InvalidRequest("prompt", "embedding.unlike", value=name, offered=keys)
    # As it was typed, where the catalog's own name is not for this channel.
    said = name[:_VALUE_MAX] if entry.nsfw and not nsfw else entry.key
    if not entry.enabled:
        raise Refused("embedding.disabled", name=said)
    if entry.nsfw and not nsfw:
        raise Refused("embedding.nsfw", name=said)
    if why := embeddings.misfit(entry.key, model):
        if why.kind == "models":
            models = nameable(entry.models, place.catalog, nsfw=nsfw)
            if not models:
                raise Refused("embedding.misfit", name=entry.key, model=model.key)
            raise Refused("embedding.other_model", name=entry.key, model=model.key, models=models)
        if why.kind == "base":
            raise Refused("embedding.other_base", name=entry.key, base=why.found, model=model.key)
        raise Refused("embedding.unfit", name=entry.key, kind=why.found)
    return entry
