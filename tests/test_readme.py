"""What the README promises exists: commands, flags, files, permissions, licences."""

import re
import shlex
import tomllib
from pathlib import Path

import discord
import pytest

from benchmarks.figures import MARKS
from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.cli.arguments import parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = [text for language, text in FENCED.findall(README) if language in ("sh", "powershell")]
SPANS = re.findall(r"`([^`\n]+)`", FENCED.sub("", README))
COMMANDS = [line.partition("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
COMMANDS += SPANS
SHOWN_TO_PEOPLE = {"run", "imagine", "models", "loras", "playground", "sync", "check"}


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {match[1] for line in COMMANDS if (match := re.match(r"make ([a-z-]+)$", line))}
    assert {"demo", "test", "run"} <= named <= targets


def test_every_call_of_the_command_line_can_be_parsed() -> None:
    calls = [
        shlex.split(line.replace("\\", "/"))
        for line in COMMANDS
        if "main.py " in line and line != "main.py"
    ]
    assert len(calls) >= 10
    parsed = set()
    for words in calls:
        arguments = words[words.index("main.py") + 1 :]
        parsed.add(parser().parse_args(arguments).call)
    assert parsed >= SHOWN_TO_PEOPLE


def test_every_flag_exists() -> None:
    # Read, not imported: most benchmarks import torch.
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    known = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', "".join(sources)))
    subparsers = parser()._subparsers
    assert subparsers is not None
    [calls] = subparsers._group_actions
    assert isinstance(calls.choices, dict)
    assert set(calls.choices) == SHOWN_TO_PEOPLE
    known.update(*(call._option_string_actions for call in calls.choices.values()))
    ours = [line for line in COMMANDS if not line.startswith(("docker ", "sudo "))]
    named = {flag for line in ours for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", line)}
    assert named <= known
    # And none is kept from the reader.
    documented = set(calls.choices["imagine"]._option_string_actions) - {"-h", "--help"}
    assert documented <= named


def test_every_module_that_is_run_exists() -> None:
    for line in COMMANDS:
        for module in re.findall(r"-m (benchmarks[\w.]*|bot[\w.]*|docs[\w.]*)", line):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), line


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)\s]+)\)", README))
def test_every_link_leads_somewhere(target: str) -> None:
    if target.startswith("https://"):
        return
    file, _, anchor = target.partition("#")
    assert (ROOT / file).exists()
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert not anchor or anchor in slugs


def test_every_named_file_and_folder_exists() -> None:
    # What the bot makes at run time is not in the repository.
    own = re.compile(
        r"(main\.py|\.env\.example|(?:bot|cogs|catalog|playground|benchmarks|tests|docs)/)"
    )
    for span in SPANS:
        if own.match(span) and " " not in span:
            assert (ROOT / span).exists(), span


def test_the_invitation_asks_for_the_permissions_that_it_names() -> None:
    permissions = discord.Permissions(
        view_channel=True,
        send_messages=True,
        attach_files=True,
        embed_links=True,
        read_message_history=True,
        add_reactions=True,
    )
    assert f"&permissions={permissions.value}\n" in README
    assert f"{permissions.value} is View Channels, Send Messages, Attach Files" in README
    assert "&scope=bot+applications.commands&" in README


def entries() -> list[tuple[str, dict[str, str]]]:
    found = []
    for table in ("models", "loras"):
        text = (ROOT / "catalog" / f"{table}.toml").read_text(encoding="utf-8")
        found += list(tomllib.loads(text)[table].items())
    return found


@pytest.mark.parametrize(("key", "entry"), entries())
def test_every_entry_of_the_catalog_has_its_licence(key: str, entry: dict[str, str]) -> None:
    name = f"[{entry['name']}]({entry['url']})" if entry.get("url") else entry["name"]
    assert f"\n| `{key}` – {name} | {entry['licence']} |\n" in README


def test_no_licence_is_shown_of_what_is_not_in_the_catalog() -> None:
    shown = re.findall(r"^\| `([\w.-]+)` – ", README, re.MULTILINE)
    assert shown == [key for key, _ in entries()]


def test_the_marks_of_what_is_generated_are_there() -> None:
    names = ("settings", "queue", "adapters", "playground", "demo-model")
    for begin, end in (
        MARKS,
        *((f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->") for name in names),
    ):
        assert README.count(begin) == README.count(end) == 1
        assert README.index(begin) < README.index(end)


def test_the_demo_models_have_the_same_figures_in_both_places() -> None:
    card = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
    here, there = (
        text.partition("<!-- demo-model:begin -->\n")[2].partition("<!-- demo-model:end -->")[0]
        for text in (README, card)
    )
    assert here == there
    assert "| Measured | Goal |" in here
    assert "missed" not in here


def test_the_reactions_are_those_that_the_bot_understands() -> None:
    assert SAME_SEED in README
    assert NEW_SEED in README
