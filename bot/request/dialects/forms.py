"""Forms of other programs that are not understood inside a prompt, and what to write instead.

Each is found by a pattern that takes time in proportion to the text, and named once. Some are left
out of the prompt: as words they would only be painted as letters.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bot.progress import Notice
from bot.request.dialects.composition import COMPOSITION, composes
from bot.request.syntax import tidied


@dataclass(frozen=True, slots=True)
class Form:
    """name: as it is shown. instead: what to write here; "" if nothing corresponds to it.

    left_out: whether it does not stay in the prompt. unless: a form that explains this one.
    """

    name: str
    pattern: re.Pattern[str]
    instead: str = ""
    left_out: bool = False
    unless: re.Pattern[str] | None = None


_SWARM: Final = "segment|object|region|clear|preset|param|setvar|setmacro|refiner|base|video|extend"
_SWARM_WORDS: Final = "random|wildcard|wc|alternate|alt|fromto"
_NOVELAI: Final = re.compile(r"(?<![\w.])-?\d{1,4}(?:\.\d{1,4})?::(?=[^\s:\d])")
_DRAWN: Final = re.compile(r"[{|$]\s*\d[\d.]*::")
"""A weight of dynamic prompts, `{3::red|1::green}`."""
_PICTURE: Final = re.compile(
    r"(?<![^\s,>])https?://(?:s\.mj\.run/[^\s,<>]+|[^\s,<>?#]+\.(?:png|jpe?g|webp|gif))"
    r"(?:[?#][^\s,<>]*)?(?=[\s,<]|\Z)",
    re.IGNORECASE,
)
FORMS: Final = (
    # Midjourney
    Form(
        "a::2",
        re.compile(r"(?<=[\w)\"'])::(?:-?(?:\d{1,4}(?:\.\d{0,4})?|\.\d{1,4}))?(?=[\s,]|$)"),
        "(a:2)",
        unless=_NOVELAI,
    ),
    # NovelAI
    Form("1.5::a::", _NOVELAI, "(a:1.5)", unless=_DRAWN),
    # InvokeAI
    Form("(a)++", re.compile(r"(?<=[^:;=]\))(?:\+{1,9}|-{1,9}|\d\.\d)(?=[\s,]|$)"), "(a:1.2)"),
    Form("a++", re.compile(r"(?<=\w\w)\+{2,9}(?=[\s,]|$)"), "(a:1.2)"),
    Form(".blend()", re.compile(r"\)\.(?:blend|and)\(|\.swap\(")),
    # AUTOMATIC1111
    Form("<hypernet:…>", re.compile(r"<hypernet:[^<>]*>", re.IGNORECASE), "lora", left_out=True),
    # SwarmUI
    Form(
        "<random:…>",
        re.compile(rf"<(?:{_SWARM_WORDS})(?:\[[^\[\]<>]*\])?:", re.IGNORECASE),
    ),
    Form(
        "<segment:…>",
        re.compile(rf"<(?:{_SWARM})(?:\[[^\[\]<>]*\]|:)[^<>]*>", re.IGNORECASE),
        left_out=True,
    ),
    # Midjourney's image prompts; last, because a tag may stand right before one
    Form("https://….png", _PICTURE, "reference", left_out=True),
)


def without_forms(text: str) -> tuple[str, tuple[Notice, ...]]:
    """A prompt without the forms that are left out of it, and a note for each form it has."""
    notes: list[Notice] = []
    for form in FORMS:
        if form.left_out and form.pattern.search(text):
            notes.append(_notice(form))
            text = tidied(form.pattern.sub(" ", text))
    return text, (*notes, *_painted_as_words(text))


def _painted_as_words(text: str) -> Iterator[Notice]:
    for form in FORMS:
        explained = form.unless is not None and form.unless.search(text)
        if not form.left_out and form.pattern.search(text) and not explained:
            yield _notice(form)
    if composes(text):
        yield Notice("dialect.form.words", {"form": COMPOSITION})


def _notice(form: Form) -> Notice:
    if form.left_out:
        if form.instead:
            return Notice("dialect.form.left_out_for", {"form": form.name, "option": form.instead})
        return Notice("dialect.form.left_out", {"form": form.name})
    if form.instead:
        return Notice("dialect.form.instead", {"form": form.name, "instead": form.instead})
    return Notice("dialect.form.words", {"form": form.name})
