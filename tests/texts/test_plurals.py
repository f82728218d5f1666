"""Counts, numbers and lists: every sentence of every language with 0, 1, 2 and 5."""

import re
from collections.abc import Iterator
from itertools import product
from string import Formatter

import pytest

from bot.texts.grammar import category
from bot.texts.language import Plural, Texts
from tests.language import TEXTS
from tests.texts.test_texts import placeholders, spoken

LANGUAGES = TEXTS._languages
COUNTS = (0, 1, 2, 5)

NEVER_ONE = {
    "settings.invalid.forced": "a fixed limit",
    "control.images": "more than there are ControlNets, of which there is at least one",
    "control.many_images": "over the limit of two images",
    "api.automatic.enlarged": "the limit of 16 megapixels",
    "control.unnamed": "more than the one that is followed without a name",
    "prompt.long": "over the limit of 2,000 characters",
    "prompt.breaks": "over the limit of 32 parts",
    "prompt.tokens": "a limit of some 500 tokens, and more than that",
    "prompt.chunks": "over the limit of 32 chunks, of 75 tokens each",
    "picture.small": "a side's least length, in pixels",
    "presets.long": "over the limit of 1,000 characters or more",
    "presets.name.long": "over the limit of 50 characters",
    "size.side": "a side's bounds, in pixels",
    "hires.size": "bounds that are far from 1",
    "words.long": "over the limit of 100 characters",
    "words.pattern_long": "over the limit of 200 characters",
    "models.native": "steps for a whole image, as the catalog says",
}
"""Sentences with a number before a noun that need no plural forms, and why."""

NOUNS = (
    "LoRAs images jobs steps seconds minutes modules tensors changes roles characters parts chunks "
    "tokens pixels megapixels "
    "Bilder Bildern Aufträge Schritte Sekunden Minuten Module Modulen Tensoren Abschnitte Tokens "
    "demandes étapes secondes tenseurs changements autres caractères parties blocs mégapixels"
)
ONE_OF_MANY = re.compile(rf"\b1 (?:\w+[ -])?(?:{'|'.join(NOUNS.split())})\b")
"""What "1 LoRAs" looks like: the plurals of everything counted in the three languages."""


def plurals() -> Iterator[tuple[str, str, Plural]]:
    for language, said in LANGUAGES.items():
        for code, sentence in said.items():
            if isinstance(sentence, Plural):
                yield language, code, sentence


def needed(language: str) -> set[str]:
    """The CLDR categories that counts fall into; French has one more, for whole millions."""
    return {category(language, count) for count in range(1000)}


def rendered(language: str, code: str, count: int) -> str:
    """The sentence with `count` for every number in it, and three names for every list."""
    sentence = LANGUAGES[language][code]
    params: dict[str, object] = dict.fromkeys(placeholders(sentence), count)
    for form in spoken(sentence):
        for _, name, spec, _ in Formatter().parse(form):
            if name and spec in {"and", "or"}:
                params[name] = ["a", "b", "c"]
    return TEXTS.speaker(language)(code, **params)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_said_with_any_count(language: str) -> None:
    for code, count in product(LANGUAGES[language], COUNTS):
        said = rendered(language, code, count)
        assert said, code
        assert not re.search(r"[{}]", re.sub(r"`[^`]*`|\{prompt\}", "", said)), code


@pytest.mark.parametrize(("language", "code", "sentence"), [*plurals()])
def test_each_form_that_the_language_needs_is_there(
    language: str, code: str, sentence: Plural
) -> None:
    forms = {form for form in sentence.forms if not form.isdecimal()}
    assert forms >= needed(language) | {"other"}
    assert sentence.by in placeholders(LANGUAGES["en"][code])


def test_the_same_sentences_have_forms_in_every_language() -> None:
    found = {
        language: {code: sentence.by for other, code, sentence in plurals() if other == language}
        for language in LANGUAGES
    }
    assert all(each == found["en"] for each in found.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_said_like_1_loras(language: str) -> None:
    for code in LANGUAGES[language].keys() - NEVER_ONE.keys():
        assert not ONE_OF_MANY.search(rendered(language, code, 1)), code


@pytest.mark.parametrize("said", ["Try with 1 LoRAs", "1 other roles", "1 Aufträge", "1 demandes"])
def test_what_1_loras_looks_like(said: str) -> None:
    assert ONE_OF_MANY.search(said)


@pytest.mark.parametrize("code", NEVER_ONE)
def test_no_exception_is_kept_in_vain(code: str) -> None:
    assert any(ONE_OF_MANY.search(rendered(language, code, 1)) for language in LANGUAGES)


GOLDEN = {
    "en": {
        "button.lighter.loras": (
            "Try without LoRAs",
            "Try with 1 LoRA",
            "Try with 2 LoRAs",
            "Try with 5 LoRAs",
        ),
        "resume.done": (
            "Resumed. The queue is empty.",
            "Resumed. 1 job waiting.",
            "Resumed. 2 jobs waiting.",
            "Resumed. 5 jobs waiting.",
        ),
        "line.more": ("and 0 more", "and 1 more", "and 2 more", "and 5 more"),
    },
    "de": {
        "button.lighter.loras": (
            "Ohne LoRAs versuchen",
            "Mit 1 LoRA versuchen",
            "Mit 2 LoRAs versuchen",
            "Mit 5 LoRAs versuchen",
        ),
        "resume.done": (
            "Es geht weiter. Die Warteschlange ist leer.",
            "Es geht weiter. 1 Auftrag wartet.",
            "Es geht weiter. 2 Aufträge warten.",
            "Es geht weiter. 5 Aufträge warten.",
        ),
        "line.more": ("und 0 weitere", "und 1 weiterer", "und 2 weitere", "und 5 weitere"),
    },
    "fr": {
        "button.lighter.loras": (
            "Essayer sans LoRA",
            "Essayer avec 1 LoRA",
            "Essayer avec 2 LoRA",
            "Essayer avec 5 LoRA",
        ),
        "resume.done": (
            "C’est reparti. La file est vide.",
            "C’est reparti. 1 demande en attente.",
            "C’est reparti. 2 demandes en attente.",
            "C’est reparti. 5 demandes en attente.",
        ),
        "cancel.which": (
            "Tu as 0 demande dans la file. Choisis-la avec `job`.",
            "Tu as 1 demande dans la file. Choisis-la avec `job`.",
            "Tu as 2 demandes dans la file. Choisis-en une avec `job`.",
            "Tu as 5 demandes dans la file. Choisis-en une avec `job`.",
        ),
    },
}


@pytest.mark.parametrize(
    ("language", "code"), [(language, code) for language in GOLDEN for code in GOLDEN[language]]
)
def test_sentences_agree_with_their_count(language: str, code: str) -> None:
    said = tuple(rendered(language, code, count) for count in COUNTS)
    assert said == GOLDEN[language][code]


class TestWriting:
    texts = Texts(
        {
            name: {
                "number": "{x:n}",
                "decimal": "{x:.1n}",
                "plain": "{x}",
                "and": "{x:and}",
                "or": "{x:or}",
            }
            for name in ("en", "de", "fr", "pt-BR")
        }
    )

    @pytest.mark.parametrize(
        ("language", "whole", "part", "either"),
        [
            ("en", "1,000,000", "1,234.5", "a, b, or c"),
            ("de", "1.000.000", "1.234,5", "a, b oder c"),
            ("fr", "1\u202f000\u202f000", "1\u202f234,5", "a, b ou c"),
            ("pt-BR", "1.000.000", "1.234,5", "a, b ou c"),
        ],
    )
    def test_numbers_and_lists_are_written_as_the_language_writes_them(
        self, language: str, whole: str, part: str, either: str
    ) -> None:
        say = self.texts.speaker(language)
        assert say("number", x=1_000_000) == whole
        assert say("decimal", x=1234.5) == part
        assert say("or", x=("a", "b", "c")) == either

    def test_a_list_of_one_two_and_three(self) -> None:
        say = self.texts.speaker()
        lists = [say("and", x=["a", "b", "c"][:n]) for n in (1, 2, 3)]
        assert lists == ["a", "a and b", "a, b, and c"]

    def test_decimals_are_as_many_as_asked_for(self) -> None:
        say = self.texts.speaker()
        assert [say("decimal", x=x) for x in (3, 3.04, 0.96)] == ["3.0", "3.0", "1.0"]
        assert [say("number", x=x) for x in (3, 0.75)] == ["3", "0.75"]

    def test_what_is_pasted_back_stays_as_it_is(self) -> None:
        assert self.texts.speaker("de")("plain", x=4294967295) == "4294967295"
        assert self.texts.speaker("de")("plain", x=0.8) == "0.8"

    @pytest.mark.parametrize("code", ["number", "decimal", "and", "or"])
    def test_what_is_spelt_out_already_stays_as_it_is(self, code: str) -> None:
        """The errors of earlier jobs are stored with their names in one text."""
        assert self.texts.speaker()(code, x="> 89, or so") == "> 89, or so"

    def test_a_count_that_is_no_number_gets_the_general_form(self) -> None:
        texts = Texts({"en": {"a": Plural("x", {"one": "1!", "other": "{x}"})}})
        assert texts.speaker()("a", x="many") == "many"
