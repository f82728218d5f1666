"""Translations: each says only what English says, with the same things filled in."""

import re
import string

import pytest

from bot.texts.language import TEXTS, Texts

LANGUAGES = Texts.read()._languages
OTHERS = sorted(set(LANGUAGES) - {"en"})


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_there_is_more_than_english() -> None:
    assert len(list(TEXTS.glob("*.toml"))) == len(LANGUAGES) > 1


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_fills_in_what_english_fills_in(language: str) -> None:
    for code, sentence in LANGUAGES[language].items():
        assert code in LANGUAGES["en"], f"{language}.toml: {code} is said by nobody"
        assert placeholders(sentence) == placeholders(LANGUAGES["en"][code]), code


@pytest.mark.parametrize("language", OTHERS)
def test_discord_takes_the_descriptions(language: str) -> None:
    commands = {c: s for c, s in LANGUAGES[language].items() if c.startswith("command.")}
    assert commands
    assert all(1 <= len(sentence) <= 100 for sentence in commands.values())


@pytest.mark.parametrize("language", OTHERS)
def test_translations_are_short_enough_for_where_they_stand(language: str) -> None:
    assert [code for code, said in LANGUAGES[language].items() if len(said) > 256] == []


def test_french_does_not_let_its_punctuation_slip_to_the_next_line() -> None:
    """A colon inside of a value (`16:9`, a timestamp) is no punctuation."""
    slips = re.compile(r"(?<!\u00a0)(?:[:;!?](?=\s|$)|[»%])|«(?!\u00a0)")
    assert slips.search("Il y a :")
    assert slips.search("« x»")
    assert [code for code, said in LANGUAGES["fr"].items() if slips.search(said)] == []


def test_what_a_language_lacks_is_said_in_english() -> None:
    texts = Texts({"en": {"a": "one {n}", "b": "two"}, "de": {"a": "eins {n}"}})
    say = texts.speaker("de")
    assert (say("a", n=1), say("b")) == ("eins 1", "two")
    assert texts.speaker("en-GB")("b") == texts.speaker("xx")("b") == "two"
    assert texts.translation("b", "de") is None
