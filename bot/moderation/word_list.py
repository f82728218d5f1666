"""WordList: blocked words and patterns, compiled, and which of them a text has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Literal, get_args

from bot.moderation.automaton import Automaton
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


def check_entry(entry: Blocked) -> None:
    """Raise InvalidRequest if it cannot be looked for; the sentence says why."""
    if entry.kind == "word":
        readings(entry.text)
    else:
        add_pattern(Nfa(), entry.text, 0)


class WordList:
    """Takes time linear in the length of a text. Usable by several threads."""

    def __init__(self, entries: Sequence[Blocked] = ()) -> None:
        """Raises InvalidRequest for an entry that is no word or pattern."""
        self.entries: Final = tuple(entries)
        nfa = Nfa()
        spelling = Spelling(nfa)
        for number, entry in enumerate(entries):
            if entry.kind == "word":
                spelling.add(entry.text, number)
            else:
                add_pattern(nfa, entry.text, number)
        self._automaton = Automaton(nfa)
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def find(
        self, texts: Iterable[str], templates: Iterable[str], wildcards: Wildcards
    ) -> tuple[Blocked, ...]:
        """Which entries the texts have, or can turn out to have, in the order of the list.

        templates: of which `wildcards` draw texts.
        """
        found: set[int] = set()
        automaton = self._automaton
        with self._lock:
            for symbols in dict.fromkeys(each for text in texts for each in folded(text)):
                automaton.end(automaton.run(automaton.start, symbols, found), found)
            for template in dict.fromkeys(templates):
                find_in_template(automaton, template, wildcards, found)
        return tuple(self.entries[number] for number in sorted(found))
