"""Whatever reads text from people and files takes time in proportion to its length.

Each reader gets hostile texts of some length and of four times that. Work in proportion takes about
four times as long, quadratic work sixteen times. What is compared is the CPU time of this thread,
the least of several runs, so that other processes do not matter.
"""

import gc
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import product

import pytest

from bot.chat.ui import markdown
from bot.chat.ui.choices import (
    adapter_choices,
    model_choices,
    preset_choices,
    scheduler_choices,
    size_choices,
)
from bot.chat.ui.custom_id import Routed
from bot.errors import UserError
from bot.files.metadata import parse_infotext
from bot.log import RedactingFormatter, traceback_without
from bot.request import emphasis, syntax, unicode_text
from bot.request.compose import _missing_words
from bot.request.offers import find_adapter, find_model, find_scheduler
from bot.settings import _parts
from bot.texts.language import Texts
from catalog import AdapterEntry, Catalog, ModelEntry
from catalog.dropins import slug
from catalog.lines import clean_line, one_line
from catalog.weight_files.training import frequent_tags, phrase, title, weight
from playground import mentions

Reader = Callable[[str], object]

LENGTH = 1_000
"""Characters of the shorter text; people can send six thousand."""
TIMES = 4
TOO_MUCH = 8.0
"""Times as long for a text of TIMES the length: twice what is in proportion, half of quadratic."""
AT_ONCE = 0.002
"""Seconds of CPU time for the longer text below which it does not matter how it grows."""

FRAMES = (
    ("", ""),
    ("(", ")"),
    (":1", "x"),
    ("a: ", "!"),
    ('Steps: 1, Seed: 1, Size: 1x1, x: "', "x"),
    ("<lora:a:te=", "x\ny>"),
    ("<", ">"),
    ("\n", "-"),
    ("[a](", " x"),
    ("`", "\\"),
)
PIECES = (
    *("1", "1.", ".", ":", ":1", ": ", "::1)", "+", "-", "- ", ",", ", ", "x", "1x", "1 x "),
    *(" ", "\t", "\n", "\r\n", "\n ", "\u2028", "a", "a ", "a.", "A-", "é", "\ufdfa", "\u0300"),
    *("(", ")", "[", "]", "(:", "[a](", "{", "<", ">", "< ", "<lora:", "<lora:a:1>", "te=", "te= "),
    *("\\", "\\(", "*", "`", "```", "`a", "~", "_", "|", "#", '"', '\\"', 'a:"', "a: b,", "x="),
    *(
        "BREAK",
        "BREAK ",
        "a" * 24 + ".",
        "/webhooks/1/",
        "<@1",
        "<b>",
        "&#",
        "{'a':",
        '{"a":',
        "[1,",
    ),
    *('{"a":', "[1,", "Negative prompt:", "aW50ZXJhY3Rpb246", "a=1\n", "[a]\n", "a.b.", "'''"),
)

MODEL = ModelEntry(key="base", name="Base", path="org/base")
CATALOG = Catalog(
    models={"base": MODEL},
    adapters={
        key: AdapterEntry(key=key, name=key.title(), path="a/b", trigger_words=("ink (wash)", key))
        for key in (f"style-{number}" for number in range(50))
    },
    default="base",
)
ENTRIES = list(CATALOG.adapters.values())
SAY = Texts.read().speaker("en")
REDACTING = RedactingFormatter(("a secret",))


READERS: dict[str, Reader] = {
    "prompt: emphasis": emphasis.parse,
    "prompt: without emphasis": emphasis.plain,
    "prompts joined": lambda text: emphasis.join([text, text]),
    "prompt: tags": syntax.extract_tags,
    "prompt: trigger words": lambda text: _missing_words(text, ENTRIES[:4]),
    "prompt: direction": unicode_text.straight,
    "prompt: control characters": unicode_text.storable,
    "prompt: anything visible": unicode_text.visible,
    "option lora": syntax.parse_adapters,
    "option lora: name": lambda text: find_adapter(CATALOG, text, model=MODEL, nsfw=False),
    "option model": lambda text: find_model(CATALOG, text, nsfw=False),
    "option size": lambda text: syntax.parse_size(text, MODEL.size, MODEL.family),
    "option scheduler": find_scheduler,
    "completion of lora": lambda text: adapter_choices(
        text, CATALOG, SAY, nsfw=False, model="base"
    ),
    "completion of model": lambda text: model_choices(text, CATALOG, nsfw=False),
    "completion of size": lambda text: size_choices(text, MODEL, SAY),
    "completion of scheduler": lambda text: scheduler_choices(text, MODEL.schedulers),
    "completion of preset": lambda text: preset_choices(text, MODEL, CATALOG, nsfw=False),
    "custom_id": Routed.__discord_ui_compiled_template__.fullmatch,
    "shown: escaped": markdown.escaped,
    "shown: cut": lambda text: markdown.shown(text, len(text) // 2),
    "shown: in a sentence": lambda text: markdown.plain({"value": text, "names": [text] * 3}),
    "log": REDACTING.redacted,
    "log: traceback": lambda text: traceback_without(ValueError(text), [text, text[:20]]),
    "image file: parameters": parse_infotext,
    "LoRA file: name": slug,
    "LoRA file: line": one_line,
    "LoRA file: cut line": lambda text: clean_line(text, 300),
    "LoRA file: title": lambda text: title({"modelspec.title": text}),
    "LoRA file: weight": lambda text: weight({"modelspec.lora_default_weight": text}),
    "LoRA file: phrase": lambda text: phrase({"modelspec.trigger_phrase": text}),
    "LoRA file: tags": lambda text: frequent_tags({"ss_tag_frequency": text}),
    "setting: list": _parts,
    "playground: mentions": lambda text: mentions.CODE.sub("", text),
}


def hostile() -> Iterator[Callable[[int], str]]:
    """Functions that make a text of about so many characters."""
    return (partial(_text, *frame, piece) for frame, piece in product(FRAMES, PIECES))


def _text(before: str, after: str, piece: str, length: int) -> str:
    return before + piece * max(1, length // len(piece)) + after


def seconds(read: Reader, text: str, runs: int) -> float:
    """CPU time of this thread, the least of `runs`."""
    least = float("inf")
    for _ in range(runs):
        begin = time.thread_time()
        with suppress(UserError, ValueError, RecursionError):
            read(text)
        least = min(least, time.thread_time() - begin)
    return least


def grows_too_much(read: Reader, make: Callable[[int], str]) -> bool:
    short, long = make(LENGTH), make(TIMES * LENGTH)
    if seconds(read, long, 1) < AT_ONCE:
        return False
    # More than once, because what is measured first may have been disturbed.
    return all(seconds(read, long, 2) > TOO_MUCH * seconds(read, short, 4) for _ in range(3))


@pytest.fixture(autouse=True)
def _no_collection_in_between() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", READERS)
def test_the_time_is_in_proportion_to_the_length(name: str) -> None:
    read = READERS[name]
    found = [make(8) for make in hostile() if grows_too_much(read, make)]
    assert not found


@pytest.mark.parametrize(
    ("pattern", "make"),
    [
        (r":[0-9]+\.?[0-9]*\)", lambda length: ":" + "1" * length),
        (r"(?m)^(\s*)-", lambda length: "a" + "\n" * length),
    ],
)
def test_quadratic_work_is_found(pattern: str, make: Callable[[int], str]) -> None:
    assert grows_too_much(re.compile(pattern).search, make)
