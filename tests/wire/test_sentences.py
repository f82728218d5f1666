"""An engine elsewhere has the sentences of an engine, and no others."""

import ast
from pathlib import Path

from bot.wire.codes import CODES, LACKS
from tests.language import TEXTS

BOT = Path(__file__).parents[2] / "bot"


def said_in(folder: str) -> set[str]:
    """The codes of sentences in the code there."""
    said = {
        node.value
        for file in (BOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {code for code in said if "." in code and TEXTS.has(code)}


def test_the_sentences_of_an_engine_are_those_that_it_has() -> None:
    assert said_in("engine") == CODES


def test_so_are_those_of_a_worker_that_cannot_get_a_file() -> None:
    assert {code for code in said_in("distributed") if code.startswith("part.")} == LACKS
