"""Translations: each says only what English says, with the same placeholders."""

import re
from string import Formatter

import pytest

from bot.texts.language import TEXTS, Plural, Sentence, Texts
from tests.texts.test_texts import placeholders, spoken

LANGUAGES = Texts.read()._languages
OTHERS = sorted(set(LANGUAGES) - {"en"})


def written_as_numbers(sentence: Sentence) -> set[tuple[str | None, str | None]]:
    """The placeholders formatted as numbers of the language, and their decimals."""
    parsed = [part for form in spoken(sentence) for part in Formatter().parse(form)]
    return {(name, spec) for _, name, spec, _ in parsed if spec and spec.endswith("n")}


def test_there_is_more_than_english() -> None:
    assert len(list(TEXTS.glob("*.toml"))) == len(LANGUAGES) > 1


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_fills_in_what_english_fills_in(language: str) -> None:
    for code, sentence in LANGUAGES[language].items():
        assert code in LANGUAGES["en"], f"{language}.toml: {code} is never used"
        left_out = {"value"} if code in ("api.model", "api.lora") else set()
        assert placeholders(sentence) == placeholders(LANGUAGES["en"][code]) - left_out, code
        assert written_as_numbers(sentence) == written_as_numbers(LANGUAGES["en"][code]), code


@pytest.mark.parametrize("language", OTHERS)
def test_discord_takes_the_descriptions(language: str) -> None:
    commands = {c: s for c, s in LANGUAGES[language].items() if c.startswith("command.")}
    assert commands
    assert all(isinstance(said, str) and 1 <= len(said) <= 100 for said in commands.values())


@pytest.mark.parametrize("language", OTHERS)
def test_translations_are_short_enough_for_where_they_stand(language: str) -> None:
    said = LANGUAGES[language].items()
    assert [code for code, each in said if any(len(form) > 256 for form in spoken(each))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_option_scheduler_has_no_second_name(language: str) -> None:
    """AUTOMATIC1111 calls it a sampler, and dynamic prompts something else."""
    others = ("api.automatic.", "scheduler.schedule", "dynamic.")
    said = [(c, each) for c, each in LANGUAGES[language].items() if not c.startswith(others)]
    assert [code for code, each in said if any("sampler" in f.lower() for f in spoken(each))] == []


def test_french_does_not_let_its_punctuation_slip_to_the_next_line() -> None:
    """A colon inside a value (`16:9`, a timestamp) is not punctuation."""
    slips = re.compile(r"(?<!\u00a0)(?:[:;!?](?=\s|$)|[»%])|«(?!\u00a0)")
    assert slips.search("Il y a :")
    assert slips.search("« x»")
    said = LANGUAGES["fr"].items()
    assert [code for code, each in said if any(map(slips.search, spoken(each)))] == []


def test_german_does_not_call_what_is_wrong_sie() -> None:
    """After an option's name it would be read as the polite "you", in a bot that says "du"."""
    polite = re.compile(r"^(?:\{field\}|[a-z_]+): Sie ")
    assert polite.search("mask: Sie ist schwarz.")
    said = LANGUAGES["de"].items()
    assert [code for code, each in said if any(polite.search(form) for form in spoken(each))] == []


def test_what_a_language_lacks_is_said_in_english() -> None:
    count = Plural("n", {"one": "a thing", "other": "{n:n} things"})
    texts = Texts({"en": {"a": "one {n}", "b": "two", "c": count}, "de": {"a": "eins {n}"}})
    say = texts.speaker("de")
    assert (say("a", n=1), say("b")) == ("eins 1", "two")
    assert (say("c", n=1), say("c", n=1000)) == ("a thing", "1,000 things")
    assert texts.speaker("en-GB")("b") == texts.speaker("xx")("b") == "two"
    assert texts.translation("b", "de") is None
