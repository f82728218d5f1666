"""Which language a caller wants."""

import pytest

from bot.api.languages import speaker_for, wanted
from tests.api.calls import call
from tests.language import TEXTS


@pytest.mark.parametrize(
    ("header", "locales"),
    [
        ("", []),
        ("fr", ["fr"]),
        ("fr-FR,fr;q=0.9,en;q=0.1", ["fr-FR", "fr", "en"]),
        ("en;q=0.1, de;q=0.8", ["de", "en"]),
        ("en, de", ["en", "de"]),
        ("de;q=0, en", ["en"]),
        ("de;q=x, en", ["en"]),
        ("de;q=nan", []),
        (";q=1,,", []),
        ("*", ["*"]),
    ],
)
def test_the_most_wanted_comes_first(header: str, locales: list[str]) -> None:
    assert wanted(header) == locales


def test_a_header_is_not_read_to_its_end() -> None:
    assert len(wanted("de," * 100_000)) < 1_000


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("fr-CA", "clé"),
        ("xx,de", "Schlüssel"),
        ("xx", "key"),
        ("*", "key"),
        ("\u00e9;q=\u00e9", "key"),
    ],
)
def test_it_is_answered_in_a_language_that_we_speak(header: str, said: str) -> None:
    assert said in speaker_for(TEXTS, call(("accept-language", header)))("api.key.invalid")
