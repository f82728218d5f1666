"""Which models, LoRAs or embeddings a list shows, and in which order. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.chat.ui.browsing import Filter
from bot.chat.ui.cards import Entry
from bot.previews import Shelf
from bot.request import find_model
from catalog import Catalog, Misfit, ModelEntry
from catalog.search import fold


@dataclass(frozen=True, slots=True)
class Shelved:
    """The entries that a page is cut from. why: those that do not fit the chosen model."""

    entries: Sequence[Entry]
    tags: Sequence[tuple[str, int]]
    model: ModelEntry | None
    why: dict[str, Misfit]


def offered_on(catalog: Catalog, shelf: Shelf, *, nsfw: bool) -> Sequence[Entry]:
    """Everything that a list may show here, in order."""
    if shelf is Shelf.MODELS:
        return (*catalog.offered_models(nsfw=nsfw), *catalog.refused_models(nsfw=nsfw))
    if shelf is Shelf.LORAS:
        return catalog.offered_adapters(nsfw=nsfw)
    return catalog.embeddings.offered(nsfw=nsfw)


def tags_of(entries: Iterable[Entry]) -> list[tuple[str, int]]:
    """The tags in lower case, the most usual first, with how many entries have each."""
    counted = Counter(tag for entry in entries for tag in {tag.casefold() for tag in entry.tags})
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def shelve(catalog: Catalog, shelf: Shelf, limits: Filter, *, nsfw: bool) -> Shelved:
    """Those that match the filter; LoRAs that do not fit the model, or any, come last.

    nsfw: whether those that are marked so are included. Raises InvalidRequest when the model is not
    offered here.
    """
    model = find_model(catalog, limits.model, nsfw=nsfw) if limits.model else None
    offered = offered_on(catalog, shelf, nsfw=nsfw)
    entries = _found(catalog, shelf, offered, limits.words, nsfw=nsfw)
    if wanted := limits.tag.casefold():
        entries = [entry for entry in entries if wanted in map(str.casefold, entry.tags)]
    why: dict[str, Misfit] = {}
    if shelf is Shelf.LORAS:
        key = model.key if model else None
        why = {entry.key: no for entry in entries if (no := catalog.misfit(entry.key, key))}
        entries = sorted(entries, key=lambda entry: entry.key in why)
    return Shelved(entries, tags_of(offered), model, why)


def _found(
    catalog: Catalog, shelf: Shelf, offered: Sequence[Entry], words: str, *, nsfw: bool
) -> Sequence[Entry]:
    """Those of `offered` that match, the best first."""
    if not words.strip():
        return offered
    most, found = len(offered), list[Entry]()
    if shelf is Shelf.MODELS:
        found += catalog.search_models(words, nsfw=nsfw, limit=most)
    elif shelf is Shelf.LORAS:
        found += catalog.search_adapters(words, nsfw=nsfw, limit=most)
    keys, wanted = {entry.key for entry in found}, fold(words)
    found += (
        entry
        for entry in offered
        if entry.key not in keys
        and (wanted in fold(f"{entry.key} {entry.name}") or wanted in map(fold, entry.tags))
    )
    return found
