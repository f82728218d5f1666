"""Finding entries by what a person typed: exact, prefix, word, substring, letters, near misses.

Everything that can be prepared is prepared once per snapshot of the catalog, so that a search over
10 000 entries takes a few milliseconds and touches nothing but memory.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from typing import Final

QUERY_MAX: Final = 100
COMPARED_MAX: Final = 60
"""Words that a misspelt one is compared with letter by letter, most alike first."""
_SEPARATORS = re.compile(r"[\s._/-]+")


def fold(text: str) -> str:
    """`text` as it is compared: no case, no accents, every separator one blank."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    if not plain.isascii():
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return _SEPARATORS.sub(" ", plain).strip()


class Index:
    """Entries by number, 0 … n-1 in the order they are offered, each with a key and a name."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        """entries: (key, name) each."""
        pairs = [(fold(key), fold(name)) for key, name in entries]
        self._keys = [key for key, _ in pairs]
        self._names = [name for _, name in pairs]
        # A line break parts the two and opens each: "\nanime" finds a prefix, " style" a word.
        self._texts = [f"\n{key}\n{name}" for key, name in pairs]
        self._letters = [_letters(text) for text in self._texts]
        self._words = _Vocabulary(pairs)

    def __len__(self) -> int:
        return len(self._keys)

    def search(self, text: str, accept: Callable[[int], bool], limit: int) -> list[int]:
        """Numbers of at most `limit` entries for which `accept` holds, best first.

        An empty text gives the first ones. Equally good ones: the shorter key first, then order.
        """
        query = fold(text[:QUERY_MAX])
        found: dict[int, None] = {}
        tiers = self._tiers(query) if query else iter([list(range(len(self)))])
        for tier in tiers:
            if query:
                tier.sort(key=lambda n: len(self._keys[n]))
            for number in tier:
                if len(found) >= limit:
                    return list(found)
                if number not in found and accept(number):
                    found[number] = None
        return list(found)

    def nearest(self, text: str, accept: Callable[[int], bool], limit: int) -> list[int]:
        """As `search`, for a name that nothing has: near misses may be further away."""
        found = dict.fromkeys(self.search(text, accept, limit))
        query = fold(text[:QUERY_MAX])
        if query and len(found) < limit:
            for number in self._words.near(query, min(3, len(query) // 2)):
                if accept(number):
                    found[number] = None
        return list(found)[:limit]

    def _tiers(self, query: str) -> Iterator[list[int]]:
        texts = self._texts
        hits = [n for n, text in enumerate(texts) if query in text]
        if hits:
            opening, word = f"\n{query}", f" {query}"
            yield [n for n in hits if query in (self._keys[n], self._names[n])]
            yield [n for n in hits if opening in texts[n]]
            yield [n for n in hits if word in texts[n]]
            yield hits
            return  # who finds what was typed did not mistype it
        words = query.split(" ")
        if len(words) > 1:
            hits = list(range(len(self)))
            for word in words:
                hits = [n for n in hits if word in texts[n]]
            yield hits
        yield self._misspelt(words, query)
        needed, in_order = _letters("".join(words)), _in_order(query)
        having = (n for n, letters in enumerate(self._letters) if letters & needed == needed)
        yield [n for n in having if in_order(texts[n])]

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
    """The words, keys and names of an index, ready to be compared with a misspelt one."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, texts in enumerate(pairs):
            for word in dict.fromkeys((*texts, *" ".join(texts).split())):
                numbers[word].append(number)
        self._by_length: dict[int, list[tuple[int, str, list[int]]]] = defaultdict(list)
        for word, where in numbers.items():
            self._by_length[len(word)].append((_letters(word), word, where))

    def near(self, text: str, edits: int) -> list[int]:
        """Numbers of the entries with a word at most `edits` changes away, nearest first."""
        if not edits:
            return []
        letters = _letters(text)
        # One change adds or removes at most two letters: cheap to see, and throws most out.
        alike = [
            (unlike, word, numbers)
            for length in range(len(text) - edits, len(text) + edits + 1)
            for mask, word, numbers in self._by_length.get(length, ())
            if (unlike := (mask ^ letters).bit_count()) <= 2 * edits
        ]
        found: list[tuple[int, int]] = []
        for _, word, numbers in nsmallest(COMPARED_MAX, alike):
            distance = _distance(text, word, edits)
            if distance <= edits:
                found.extend((distance, number) for number in numbers)
        return list(dict.fromkeys(number for _, number in sorted(found)))


def _tolerance(word: str) -> int:
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2


def _letters(word: str) -> int:
    mask = 0
    for character in word:
        mask |= 1 << (ord(character) & 63)
    return mask


def _in_order(query: str) -> Callable[[str], object]:
    # "[^a]*+a[^b]*+b" within one line: nothing is ever tried twice, so it cannot explode.
    letters = [re.escape(c) for c in query if c != " "]
    return re.compile("\n" + "".join(f"[^{c}\n]*+{c}" for c in letters)).search


def _distance(one: str, other: str, most: int) -> int:
    """Replacements, insertions, removals and swaps from `one` to `other`, up to `most` + 1."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row, before_last = row, [i], before
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before = last
    return row[-1]
