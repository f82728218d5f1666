"""The bot's sentences: one TOML file per language in bot/texts, looked up by code.

A code is the dotted path in the file (`status.queued`). A translation may lack a sentence; English
has them all (a test checks this) and is the fallback, also for a locale without a file. The comment
at the top of en.toml explains how to write one: {placeholders}, numbers, lists, plural forms.
"""

import string
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias

from bot.texts.grammar import CATEGORIES, category, listing, number

TEXTS = Path(__file__).parent
ENGLISH = "en"
SLASH: Final = "/"
"""What a placeholder for a command begins with."""
COUNT: Final = "count"
"""The parameter that selects the plural form, unless the sentence's `by` names another."""


class Say(Protocol):
    """Returns the sentence `code` in one language, its {placeholders} filled from `params`."""

    def __call__(self, code: str, /, **params: object) -> str: ...


class Command(Protocol):
    """Returns what stands for the name of a command. server: as of a job."""

    def __call__(self, name: str, /, server: str | None = None) -> str: ...


def _plain(name: str, /, server: str | None = None) -> str:
    return f"{SLASH}{name}"


@dataclass(frozen=True, slots=True)
class Plural:
    """A sentence that changes with the number in the parameter `by`.

    forms: by CLDR category; an exact number, such as "0", takes precedence over its category.
    """

    by: str
    forms: Mapping[str, str]

    def form(self, language: str, count: object) -> str:
        """The form for `count`; "other" if it is not a number."""
        if not isinstance(count, int | float):
            return self.forms["other"]
        exact = self.forms.get(str(count))
        return exact or self.forms.get(category(language, count), self.forms["other"])


Sentence: TypeAlias = str | Plural


class _Formatter(string.Formatter):
    """str.format plus `{x:n}`, `{x:.1n}`, `{x:and}` and `{x:or}`, localised for one language.

    All four leave text unchanged: a value may be formatted already. `{/name}` is a command.
    """

    def __init__(self, language: str, command: Callable[[str], str]) -> None:
        self._language = language
        self._command = command

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, str) and key.startswith(SLASH):
            return self._command(key.removeprefix(SLASH))
        return super().get_value(key, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        match value, format_spec:
            case str(), "and" | "or" | "n":
                return value
            case str(), spec if spec.endswith("n"):
                return value
            case Sequence(), "and" | "or":
                return listing(self._language, value, "or" if format_spec == "or" else "and")
            case int() | float(), spec if spec.endswith("n"):
                digits = spec[:-1].removeprefix(".")
                return number(self._language, value, int(digits) if digits else None)
            case _:
                return str(format(value, format_spec))


class Texts:
    """All languages, read once.

    command: returns what stands for the name of a command in a server, or where there is none.
    """

    def __init__(
        self,
        languages: Mapping[str, Mapping[str, Sentence]],
        command: Command = _plain,
    ) -> None:
        self._languages = languages
        self._command = command

    @classmethod
    def read(cls, folder: Path = TEXTS) -> Self:
        return cls(
            {
                file.stem: _flatten(tomllib.loads(file.read_text("utf-8")))
                for file in sorted(folder.glob("*.toml"))
            }
        )

    def mentioning(self, command: Command) -> "Texts":
        """The same, with `command` for the names of commands."""
        return Texts(self._languages, command)

    def commands_in(self, code: str) -> frozenset[str]:
        """The names of the commands that a sentence names; empty if there is no such sentence."""
        sentence = self._languages[ENGLISH].get(code, "")
        forms = sentence.forms.values() if isinstance(sentence, Plural) else (sentence,)
        fields = (field for form in forms for _, field, _, _ in string.Formatter().parse(form))
        named = (field for field in fields if field and field.startswith(SLASH))
        return frozenset(field.removeprefix(SLASH) for field in named)

    def has(self, code: str) -> bool:
        """Whether there is a sentence of this code."""
        return code in self._languages[ENGLISH]

    def codes(self, table: str) -> tuple[str, ...]:
        """The codes of the sentences in a table, such as `help.first`, in its order."""
        return tuple(code for code in self._languages[ENGLISH] if code.startswith(f"{table}."))

    def speaker(self, locale: str = ENGLISH, server: str | None = None) -> Say:
        """A `Say` for `locale`, a Discord locale such as `en-US`, `de` or `pt-BR`.

        server: where it is read, as of a job, since a server may have commands of its own.
        """
        own = self._language(locale) or ENGLISH
        command = partial(self._command, server=server)
        formatters = {name: _Formatter(name, command) for name in {own, ENGLISH}}

        def say(code: str, /, **params: object) -> str:
            # A sentence that falls back to English needs English plurals and numbers, too.
            language = own if code in self._languages[own] else ENGLISH
            sentence = self._languages[language].get(code, code)
            if isinstance(sentence, Plural):
                sentence = sentence.form(language, params.get(sentence.by))
            return formatters[language].vformat(sentence, (), params)

        return say

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that there are files in, as locales."""
        return tuple(self._languages)

    def speaks(self, locale: str) -> bool:
        """Whether there is a file for `locale`, or for its language."""
        return self._language(locale) is not None

    def translation(self, code: str, locale: str) -> str | None:
        """The sentence in exactly that language, or None; for Discord's localisation fields."""
        language = self._language(locale)
        sentence = self._languages[language].get(code) if language else None
        # Nothing is filled in there, so no brace is doubled.
        return _undoubled(sentence) if isinstance(sentence, str) else None

    def _language(self, locale: str) -> str | None:
        """The name of the file for `locale`: its own, or its language's; None if there is none."""
        names = (locale, locale.split("-")[0])
        return next((name for name in names if name in self._languages), None)


def _undoubled(sentence: str) -> str:
    return sentence.replace("{{", "{").replace("}}", "}")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Sentence]:
    flat: dict[str, Sentence] = {}
    for key, value in table.items():
        if not isinstance(value, Mapping):
            flat[prefix + key] = str(value)
        elif _is_plural(value):
            forms = {form: str(text) for form, text in value.items() if form != "by"}
            flat[prefix + key] = Plural(str(value.get("by", COUNT)), forms)
        else:
            flat |= _flatten(value, f"{prefix}{key}.")
    return flat


def _is_plural(table: Mapping[str, Any]) -> bool:
    """Whether a table holds plural forms: every key is a category, a number or `by`."""
    return "other" in table and all(
        key in CATEGORIES or key.isdecimal() or key == "by" for key in table
    )
