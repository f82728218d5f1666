"""Whatever is put around and between the letters of a blocked word, it is found, in linear time."""

import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.moderation.automaton import HELD_MAX, Automaton, TooComplex
from bot.moderation.folding import folded
from bot.moderation.nfa import Nfa
from bot.moderation.patterns import add_pattern
from bot.moderation.spelling import Spelling
from bot.moderation.word_list import (
    PATTERN_STATES_MAX,
    STATES_MAX,
    STEPS_MIN,
    Blocked,
    WordList,
)
from tests.moderation.lists import WILDCARDS, drawn_hits, hits, listed
from tests.parameters import examples, mostly_long

WORD = "zork"
LIST = listed(WORD, "quux", "/bl(u|o)rb+/")
UNSEEN = ["", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2069", "\u034f"]
MARKS = ["", "\u0301", "\u0336", "\u20d2", "\ufe0f", "\u0489"]
SIGNS = ["", "(", ")", "[", "]", "(:1.2)", ".", "_", "*", "'", "<lora:x:1>", "<x>", "🍎", " BREAK "]
LOOKS = {"z": "zZｚ𝔃ⓩƶ", "o": "oOｏоοօ0", "r": "rRｒⓡʀ", "k": "kKｋкκⓚ"}
AROUND = ["", "a fox ", "(", "{a|", "x, ", "\u200f", "1", "!", "__"]

spelt = st.tuples(
    *(
        st.tuples(
            st.sampled_from(LOOKS[letter]),
            st.sampled_from(MARKS),
            st.sampled_from(UNSEEN),
            st.sampled_from(SIGNS if letter != "k" else [""]),
        )
        for letter in WORD
    )
)


@settings(max_examples=examples(120), deadline=None)
@given(spelt, st.sampled_from(AROUND), st.sampled_from(["", " b", ")", ", 3", "\u200b", "."]))
def test_the_word_is_found(letters: Any, before: str, after: str) -> None:
    text = before + "".join("".join(letter) for letter in letters) + after
    assert hits(LIST, text) == [WORD]


@settings(max_examples=examples(80), deadline=None)
@given(spelt, st.lists(st.booleans(), min_size=4, max_size=4))
def test_it_is_found_where_each_letter_may_be_drawn(letters: Any, drawn: list[bool]) -> None:
    parts = ["".join(letter) for letter in letters]
    text = "".join(
        f"{{x|{part}}}" if is_drawn else part for part, is_drawn in zip(parts, drawn, strict=True)
    )
    assert drawn_hits(LIST, text) == [WORD]


@settings(max_examples=examples(80), deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    hits(LIST, text)
    drawn_hits(LIST, text)


class Counting(Automaton):
    """Counts the steps that were not known before, and how many states each went through."""

    def __init__(self, nfa: Nfa) -> None:
        super().__init__(nfa)
        self.steps = self.most = 0

    def _step(self, reached: Any, symbol: str) -> Any:
        self.steps += 1
        self.most = max(self.most, len(reached.states))
        return super()._step(reached, symbol)


EVIL = [
    "(a*)*b",
    "(a|a)*b",
    "(a+)+b",
    "a{0,50}a{50}b",
    ".*.*.*.*=x",
    "(x?){50}x{50}y",
    "(a|b|ab)*c",
]


@pytest.mark.parametrize("pattern", EVIL)
@pytest.mark.parametrize("text", ["a" * 4_000, "ab" * 2_000, "x" * 4_000])
def test_no_pattern_takes_more_than_a_step_for_a_symbol(pattern: str, text: str) -> None:
    nfa = Nfa()
    add_pattern(nfa, pattern, 0)
    automaton, found = Counting(nfa), set[int]()
    automaton.end(automaton.run(automaton.start, text, found), found)
    assert automaton.steps <= len(text) + 1
    assert automaton.most <= len(nfa)
    # Nearly all of them are known from the beginning of the text.
    assert automaton.steps < 200


def test_a_thousand_words_take_few_states_at_a_time() -> None:
    nfa = Nfa()
    spelling = Spelling(nfa)
    for number in range(1_000):
        letters = f"{number:04}".translate(str.maketrans("0123456789", "abcdefghij"))
        spelling.add(f"w{letters}x", number)
    automaton, found = Counting(nfa), set[int]()
    text = folded(" ".join(f"waab{letter}x wabc (waaa)" for letter in "abcdefghij" * 20))[0]
    automaton.end(automaton.run(automaton.start, text, found), found)
    assert len(found) == 10
    assert automaton.most <= 20
    assert automaton.steps < 300


def test_what_is_known_is_forgotten_before_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.moderation.automaton.HELD_MAX", 60)
    words = listed("zork", "frob", "quux")
    for _ in range(3):
        assert hits(words, "some zork, much frob, and the quux of it all") == [
            "zork",
            "frob",
            "quux",
        ]
        assert held(words) <= 60


def held(words: WordList) -> int:
    """States of all places that are known, counted."""
    known = words._automaton._reached
    assert words._automaton.held >= sum(len(each.steps) for each in known.values())
    return sum(len(states) for states, _ in known)


WORST = [
    "[ab]" + ".{50}" * 14 + "q1",
    "[a-z].{0,50}" * 10 + "q1",
    r"\w{1,50}" * 10 + "q1",
    "(a|b|c|[^d]){25}" * 3 + "q1",
]


@pytest.mark.parametrize("pattern", mostly_long(WORST, usual=2))
def test_a_servers_list_takes_bounded_time_and_memory(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a prompt of the greatest length, counted in states."""
    through = [0]
    closure = Nfa.closure

    def counted(nfa: Nfa, states: Any, *, boundary: bool) -> set[int]:
        reached = closure(nfa, states, boundary=boundary)
        through[0] += len(reached)
        return reached

    monkeypatch.setattr(Nfa, "closure", counted)
    entries = [Blocked(pattern.replace("q1", f"q{n}"), "pattern") for n in range(2)]
    words = WordList(entries, bounded=True)
    draw = random.Random(1)
    for _ in range(3):
        text = "".join(draw.choice("abcdefghijklmnop  ") for _ in range(4_000))
        through[0] = 0
        with suppress(TooComplex):
            words.find([text], [text], WILDCARDS)
        assert through[0] < 130_000
        assert held(words) <= HELD_MAX
    assert hits(words, "a fox") == []


def test_a_usual_list_takes_a_fraction_of_what_it_may() -> None:
    draw = random.Random(1)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    names = {"".join(draw.choices(syllables, k=draw.randint(2, 5))) for _ in range(1_000)}
    patterns = ["/young (girl|boy)s?/", r"/\bred.{0,20}apple/", "/[ab]c?d+/", "/x.*y/"]
    words = listed(*names, *patterns * 10)
    assert words.states < STATES_MAX
    assert words.pattern_states < PATTERN_STATES_MAX
    text = " ".join(draw.choice([*names])[: draw.randint(2, 9)] for _ in range(600))[:4_000]
    words._automaton.left = 10**9
    hits(words, text)
    assert 10**9 - words._automaton.left < STEPS_MIN
