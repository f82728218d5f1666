"""Modules that must start quickly do not import torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.families import FAMILIES
from cogs import EXTENSIONS
from tests.parameters import mostly_long

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate")
CALLS = sorted(
    f"bot.cli.{file.stem}"
    for file in (ROOT / "bot" / "cli").glob("*.py")
    if file.stem != "__init__"
)


def loaded_by(modules: list[str]) -> set[str]:
    """The top-level packages in memory after importing `modules` in a fresh process."""
    code = (
        f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_coming_online_does_not_import_torch() -> None:
    loaded = loaded_by(["main", "bot.serve", "bot.engine", *EXTENSIONS, *CALLS])
    assert {"discord", "aiosqlite"} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_inner_parts_do_not_import_discord() -> None:
    assert "discord" not in loaded_by(["bot.store", "bot.request", "bot.queue", "catalog"])


def test_reading_the_command_line_imports_neither() -> None:
    assert loaded_by(["main"]).isdisjoint({*HEAVY, "discord"})


def test_generating_from_the_command_line_imports_no_discord() -> None:
    assert "discord" not in loaded_by(["bot.cli.imagine", "bot.cli.listing"])


def test_what_serves_no_http_imports_none_of_it() -> None:
    loaded = loaded_by(["bot.cli.imagine", "bot.cli.listing", "bot.serve"])
    assert loaded.isdisjoint({"fastapi", "starlette", "uvicorn", "httpx2"})


def test_a_client_is_no_server() -> None:
    assert loaded_by(["bot.cli.remote"]).isdisjoint({"fastapi", "starlette", "uvicorn"})


@pytest.mark.parametrize(
    "module", mostly_long(["bot.texts.language", "bot.texts.lines", "bot.cli.imagine"], usual=2)
)
def test_the_rules_of_languages_are_imported_when_a_sentence_needs_them(module: str) -> None:
    assert "babel" not in loaded_by([module])


def test_a_bot_without_the_http_interface_imports_none_of_it() -> None:
    loaded = loaded_by(["main", "bot.cli.run", "bot.serve.discord_bot", "bot.metrics", *EXTENSIONS])
    assert "discord" in loaded
    assert loaded.isdisjoint({"fastapi", "starlette", "uvicorn"})


def test_serving_http_alone_imports_no_discord() -> None:
    loaded = loaded_by(["bot.cli.serve", "bot.serve.http"])
    assert "fastapi" in loaded
    assert loaded.isdisjoint({*HEAVY, "discord"})


def test_what_tells_files_apart_knows_no_family_by_name() -> None:
    """It asks all that there are, so that a new one is a new folder and nothing else."""
    told = [
        f"{file.name}: {node.module}"
        for file in (ROOT / "catalog" / "weight_files").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.removeprefix("catalog.families.").partition(".")[0] in FAMILIES
    ]
    assert not told
