"""An engine elsewhere has the sentences of an engine, and no others."""

import ast
from pathlib import Path

from bot.wire.codes import CODES
from tests.wire.things import TEXTS

ENGINE = Path(__file__).parents[2] / "bot" / "engine"


def test_the_sentences_of_an_engine_are_those_that_it_has() -> None:
    said = {
        node.value
        for file in ENGINE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {code for code in said if "." in code and TEXTS.has(code)} == CODES
