"""The bot's sentences: one TOML file per language in bot/texts, looked up by code.

A code is the dotted path in the file (`status.queued`). A language may lack a sentence; English has
them all (a test sees to it), and is what a locale without a file gets.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

TEXTS = Path(__file__).parent
ENGLISH = "en"


class Say(Protocol):
    """Gives the sentence `code` in one language, its {placeholders} filled from `params`."""

    def __call__(self, code: str, /, **params: object) -> str: ...


class Texts:
    """All languages, read once."""

    def __init__(self, languages: Mapping[str, Mapping[str, str]]) -> None:
        self._languages = languages

    @classmethod
    def read(cls, folder: Path = TEXTS) -> Self:
        return cls(
            {
                file.stem: _flatten(tomllib.loads(file.read_text("utf-8")))
                for file in sorted(folder.glob("*.toml"))
            }
        )

    def speaker(self, locale: str = ENGLISH) -> Say:
        """How to say things in `locale`, a Discord locale such as `en-US`, `de` or `pt-BR`."""
        english = self._languages[ENGLISH]
        own = self._languages.get(locale) or self._languages.get(locale.split("-")[0]) or english

        def say(code: str, /, **params: object) -> str:
            return (own.get(code) or english.get(code) or code).format(**params)

        return say

    def translation(self, code: str, locale: str) -> str | None:
        """The sentence in exactly that language, or None; for Discord's own localisation fields."""
        own = self._languages.get(locale) or self._languages.get(locale.split("-")[0])
        return own.get(code) if own else None


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat
