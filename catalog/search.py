"""Find entries by what a user typed: exact, prefix, word, substring, subsequence, near misses.

Indexes are built once per snapshot of the catalog, so that a search over 10,000 entries takes a few
milliseconds and only touches memory.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA, LCSseq

QUERY_MAX: Final = 100
SIMILAR: Final = 60
"""Minimum of rapidfuzz's ratio (0–100) at which one name is suggested for another."""
_SEPARATORS: Final = re.compile(r"[\s._/-]+")


def fold(text: str) -> str:
    """`text` normalised for comparison: no case, no accents, each run of separators one space."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    if not plain.isascii():
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return _SEPARATORS.sub(" ", plain).strip()


class Index:
    """Entries numbered 0 … n-1 in the order they are offered, each with a key and a name."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        """entries: a (key, name) pair for each."""
        pairs = [(fold(key), fold(name)) for key, name in entries]
        self._keys = [key for key, _ in pairs]
        self._names = [name for _, name in pairs]
        # A line break precedes each: "\nanime" finds a prefix, " style" a word.
        self._texts = [f"\n{key}\n{name}" for key, name in pairs]
        self._words = _Vocabulary(pairs)

    def __len__(self) -> int:
        return len(self._keys)

    def search(
        self,
        text: str,
        accept: Callable[[int], bool],
        limit: int,
        first: Sequence[int] = (),
    ) -> list[int]:
        """Numbers of at most `limit` entries for which `accept` holds, best first.

        An empty text matches all, in order. Ties go to those in `first`, in its order, then to the
        shorter key, then to the order.
        """
        query = fold(text[:QUERY_MAX])
        found: dict[int, None] = {}
        tiers = self._tiers(query) if query else iter([list(range(len(self)))])
        for tier in tiers:
            if query:
                tier.sort(key=lambda n: len(self._keys[n]))
            tied = {*first}.intersection(tier) if first else ()
            for number in chain((n for n in first if n in tied), tier):
                if len(found) >= limit:
                    return list(found)
                if number not in found and accept(number):
                    found[number] = None
        return list(found)

    def nearest(self, text: str, accept: Callable[[int], bool], limit: int) -> list[int]:
        """As `search`, for a name that matches nothing: allows more distant near misses."""
        found = dict.fromkeys(self.search(text, accept, limit))
        query = fold(text[:QUERY_MAX])
        if query and len(found) < limit:
            for number in self._words.near(query, min(3, len(query) // 2)):
                if accept(number):
                    found[number] = None
        return list(found)[:limit]

    def _tiers(self, query: str) -> Iterator[list[int]]:
        # No rapidfuzz scorer ranks whole names before prefixes, words and substrings.
        texts = self._texts
        hits = [n for n, text in enumerate(texts) if query in text]
        if hits:
            opening, word = f"\n{query}", f" {query}"
            yield [n for n in hits if query in (self._keys[n], self._names[n])]
            yield [n for n in hits if opening in texts[n]]
            yield [n for n in hits if word in texts[n]]
            yield hits
            return  # the text matches something, so it is not a typo
        words = query.split(" ")
        if len(words) > 1:
            hits = list(range(len(self)))
            for word in words:
                hits = [n for n in hits if word in texts[n]]
            yield hits
        yield self._misspelt(words, query)
        yield self._in_order("".join(words))

    def _in_order(self, letters: str) -> list[int]:
        """Those whose key or name has these letters in this order, with or without gaps."""
        score, count = LCSseq.similarity, len(letters)
        found = {
            number
            for texts in (self._keys, self._names)
            for _, _, number in process.extract(
                letters, texts, scorer=score, score_cutoff=count, limit=None
            )
        }
        return sorted(found)

    def _misspelt(self, words: list[str], query: str) -> list[int]:
        near = dict.fromkeys(self._words.near(query, _tolerance(query)))
        if len(words) > 1 and any(map(_tolerance, words)):
            every = set(range(len(self)))
            for word in words:
                alike = self._words.near(word, _tolerance(word))
                every &= {n for n in every if word in self._texts[n]}.union(alike)
            near.update(dict.fromkeys(sorted(every)))
        return list(near)


class _Vocabulary:
    """The words, keys and names of an index, prepared for matching misspelt ones."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, texts in enumerate(pairs):
            for word in dict.fromkeys((*texts, *" ".join(texts).split())):
                numbers[word].append(number)
        # The garbage collector keeps out of tuples of numbers; lists it would all visit.
        self._numbers = {word: tuple(found) for word, found in numbers.items()}
        self._by_length: dict[int, list[str]] = defaultdict(list)
        for word in numbers:
            self._by_length[len(word)].append(word)

    def near(self, text: str, edits: int) -> list[int]:
        """Numbers of the entries that have a word at most `edits` edits away, nearest first.

        An edit replaces, inserts or removes a letter, or swaps two adjacent ones.
        """
        if not edits:
            return []
        lengths = range(len(text) - edits, len(text) + edits + 1)
        words = [word for length in lengths for word in self._by_length.get(length, ())]
        alike = process.extract(text, words, scorer=OSA.distance, score_cutoff=edits, limit=None)
        found = [(edits, number) for word, edits, _ in alike for number in self._numbers[word]]
        return list(dict.fromkeys(number for _, number in sorted(found)))


def _tolerance(word: str) -> int:
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2
