"""Every command line that a page quotes exists."""

import re
import shlex
from argparse import ArgumentParser

import pytest

from bot.cli.arguments import parser
from tests.docs.pages import PAGES, README, ROOT, commands

COMMANDS = [line for page in PAGES for line in commands(page)]
SHOWN_TO_PEOPLE = {
    *(
        "run",
        "serve",
        "imagine",
        "compare",
        "upscale",
        "describe",
        "info",
        "playground",
        "sync",
        "check",
    ),
    *("models", "loras", "embeddings", "controlnets"),
    *("keys", "worker", "workers"),
}
OTHERS = ("curl ", "docker ", "sudo ", "rm ", "mkdir ", "cp ", ".venv/bin/pre-commit ")
"""Programs that are not ours, with their own flags."""


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {match[1] for line in COMMANDS if (match := re.match(r"make ([a-z-]+)$", line))}
    assert named <= targets
    # And every target is documented.
    assert targets <= named


def test_the_readme_begins_with_what_needs_nothing() -> None:
    made = [line for line in commands(README) if line.startswith("make ")]
    assert made[:2] == ["make demo", "make test"]
    assert "make run" in made


def test_every_call_of_the_command_line_can_be_parsed() -> None:
    calls = [
        shlex.split(line.replace("\\", "/"))
        for line in COMMANDS
        if "main.py " in line and "…" not in line
    ]
    assert len(calls) >= 10
    parsed = set()
    for words in calls:
        arguments = words[words.index("main.py" if "main.py" in words else ".venv/bin/main.py") :]
        parsed.add(parser().parse_args(arguments[1:]).call)
    assert parsed >= SHOWN_TO_PEOPLE


def flags_of(call: ArgumentParser) -> set[str]:
    """Its own, and those of what stands under it."""
    flags = set(call._option_string_actions)
    for action in call._subparsers._group_actions if call._subparsers else ():
        assert isinstance(action.choices, dict)
        flags = flags.union(*map(flags_of, action.choices.values()))
    return flags


def test_every_flag_exists() -> None:
    # Read, not imported: most benchmarks import torch.
    sources = [
        *(ROOT / "benchmarks").rglob("*.py"),
        *(ROOT / "tools").rglob("*.py"),
    ]
    defined = re.compile(r'add_argument\(\s*"(--[a-z-]+)"')
    known = {flag for file in sources for flag in defined.findall(file.read_text("utf-8"))}
    subparsers = parser()._subparsers
    assert subparsers is not None
    [calls] = subparsers._group_actions
    assert isinstance(calls.choices, dict)
    assert set(calls.choices) == SHOWN_TO_PEOPLE
    documented = flags_of(parser())
    known |= documented
    # The flags in prompts are Midjourney's.
    prompts = commands(ROOT / "docs" / "prompts.md")
    ours = [line for line in COMMANDS if not line.startswith(OTHERS) and line not in prompts]
    named = {flag for line in ours for flag in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", line)}
    assert named <= known
    # And all of them are documented.
    assert documented - {"-h", "--help"} <= named


@pytest.mark.parametrize("line", [line for line in COMMANDS if " -m " in line])
def test_every_module_that_is_run_exists(line: str) -> None:
    for module in re.findall(r"-m ((?:benchmarks|bot|tools|tests|playground)[\w.]*)", line):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), line
