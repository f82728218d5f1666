"""WordList: blocked words and patterns, compiled, and which of them a text has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Literal, get_args

from bot.moderation.automaton import HELD_IN_STATE, Automaton
from bot.moderation.folding import folded
from bot.moderation.nfa import Nfa
from bot.moderation.patterns import add_pattern
from bot.moderation.spelling import Spelling, readings
from bot.moderation.templates import find_in_template
from catalog.wildcard_index import Wildcards

WORDS_MAX: Final = 1_000
"""Words of one list."""
PATTERNS_MAX: Final = 100
"""Patterns of one list."""
STATES_MAX: Final = 40_000
"""States of a server's list, about 400 bytes each: some 1,500 words, if they are not long."""
PATTERN_STATES_MAX: Final = 2_000
"""How many of them may be of patterns: one for each place of a pattern, written out."""
STEPS_MIN: Final = 40_000
STEPS_A_CHARACTER: Final = 10
"""States that a search in a server's list may go through: some for each character, besides those
for any text. That takes tens of milliseconds for the longest prompt."""

EntryKind = Literal["word", "pattern"]
Action = Literal["refuse", "report", "restrict"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


@dataclass(frozen=True, slots=True)
class Blocked:
    """A word or pattern, and what is done about a text that has it.

    refuse: it is not accepted. report: it is, and moderators are told. restrict: it is accepted in
    age-restricted channels only.
    """

    text: str = field(repr=False)
    kind: EntryKind = "word"
    action: Action = "refuse"


def as_typed(entry: Blocked) -> str:
    """An entry as it is entered: a pattern between slashes."""
    return f"/{entry.text}/" if entry.kind == "pattern" else entry.text


def check_entry(entry: Blocked) -> None:
    """Raise InvalidRequest if it cannot be looked for; the sentence says why."""
    if entry.kind == "word":
        readings(entry.text)
    else:
        add_pattern(Nfa(), entry.text, 0)


class WordList:
    """Takes time linear in the length of a text. Usable by several threads."""

    def __init__(self, entries: Sequence[Blocked] = (), *, bounded: bool = False) -> None:
        """Raises InvalidRequest for an entry that is no word or pattern.

        bounded: whether a search in it may take no longer than is usual, because those who made
        the list are not those who run the bot.
        """
        self.entries: Final = tuple(entries)
        self._bounded = bounded
        nfa = Nfa()
        spelling = Spelling(nfa)
        of_patterns = 0
        for number, entry in enumerate(entries):
            if entry.kind == "word":
                spelling.add(entry.text, number)
            else:
                before = len(nfa)
                add_pattern(nfa, entry.text, number)
                of_patterns += len(nfa) - before
        self.states: Final = len(nfa)
        self.pattern_states: Final = of_patterns
        self._automaton = Automaton(nfa)
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def size(self) -> int:
        """What it takes of memory, in states."""
        return self.states + self._automaton.held // HELD_IN_STATE

    def find(
        self, texts: Iterable[str], templates: Iterable[str], wildcards: Wildcards
    ) -> tuple[Blocked, ...]:
        """Which entries the texts have, or can turn out to have, in the order of the list.

        templates: of which `wildcards` draw texts. Raises TooComplex for a list that is bounded.
        """
        found: set[int] = set()
        texts, templates = tuple(dict.fromkeys(texts)), tuple(dict.fromkeys(templates))
        automaton = self._automaton
        with self._lock:
            if self._bounded:
                length = sum(map(len, (*texts, *templates)))
                automaton.left = STEPS_MIN + STEPS_A_CHARACTER * length
            for symbols in dict.fromkeys(each for text in texts for each in folded(text)):
                automaton.end(automaton.run(automaton.start, symbols, found), found)
            for template in templates:
                find_in_template(automaton, template, wildcards, found)
        return tuple(self.entries[number] for number in sorted(found))
