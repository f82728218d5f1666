"""Everything that users can use is documented, and everything documented exists."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import discord
import pytest
import yaml
from discord import app_commands
from discord.ext import commands
from discord.ext.commands import GroupCog

from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.settings import names_of
from catalog import SCHEDULERS, read_catalog
from cogs import EXTENSIONS
from cogs.admin import admin_group
from tests.docs.pages import DOCS, FRENCH, PAGES, README, ROOT, blocks, rows, spans, text

USING = ROOT / "docs" / "using.md"
CATALOG = ROOT / "docs" / "catalog.md"
LICENCES = ROOT / "docs" / "licences.md"
OPERATING = ROOT / "docs" / "operating.md"
FIGURES = ROOT / "docs" / "figures.md"


def within(module: str, extension: str) -> bool:
    """Whether the module is the extension, or a file of it."""
    return module == extension or module.startswith(f"{extension}.")


def slash_commands() -> dict[str, app_commands.Command[Any, ..., Any]]:
    """The commands that the cogs declare, by name; those of a group as `group command`."""
    found = {}
    for extension in EXTENSIONS:
        for value in vars(import_module(extension)).values():
            if isinstance(value, commands.CogMeta) and within(value.__module__, extension):
                group = f"{value.__cog_group_name__} " if issubclass(value, GroupCog) else ""
                for command in value.__cog_app_commands__:
                    assert isinstance(command, app_commands.Command)
                    found[f"{group}{command.name}"] = command
    for each in admin_group(MagicMock()).walk_commands():
        if isinstance(each, app_commands.Command):
            found[each.qualified_name] = each
    return found


SLASH = slash_commands()
FIRST_WORDS = {name.split()[0] for name in SLASH}


class TestSlashCommands:
    def test_each_is_documented_and_each_documented_one_exists(self) -> None:
        for page in (README, FRENCH):
            assert {f"/{name}" for name in FIRST_WORDS} <= set(spans(page))
        named = {
            match[1]
            for page in PAGES
            for span in spans(page)
            if (match := re.match(r"/([a-z]+)(?= |$)", span))
        }
        assert named == FIRST_WORDS
        whole = {span for page in PAGES for span in spans(page)}
        assert {f"/{name}" for name in SLASH if " " in name} <= whole

    @pytest.mark.parametrize("page", [README, FRENCH], ids=lambda page: page.name)
    def test_the_table_has_every_option_of_imagine_in_its_order(self, page: Path) -> None:
        cells = [re.findall(r"`([a-z_]+)`", row) for row in rows(page) if row.startswith("`")]
        options = [name for cell in cells for name in cell]
        assert options == [option.name for option in SLASH["imagine"].parameters]

    def test_every_option_of_the_others_is_documented(self) -> None:
        named = {span for page in (README, *DOCS) for span in spans(page)}
        for name, command in SLASH.items():
            for option in command.parameters:
                as_typed = f"/{name} {option.display_name}:"
                assert option.display_name in named or any(as_typed in span for span in named), (
                    as_typed
                )

    def test_the_reactions_are_those_that_the_bot_understands(self) -> None:
        for page in (README, FRENCH, USING):
            assert SAME_SEED in text(page)
            assert NEW_SEED in text(page)

    def test_every_scheduler_is_named(self) -> None:
        assert set(SCHEDULERS) <= set(spans(USING))


def test_the_invitation_asks_for_the_permissions_that_it_names() -> None:
    permissions = discord.Permissions(
        view_channel=True,
        send_messages=True,
        attach_files=True,
        embed_links=True,
        read_message_history=True,
        add_reactions=True,
    )
    for page in (README, FRENCH):
        [invitation] = [block for block in blocks(page) if "oauth2" in block]
        assert f"&permissions={permissions.value}\n" in invitation
        assert "&scope=bot+applications.commands&" in invitation
    words = " ".join(text(README).split())
    assert f"{permissions.value} is View Channels, Send Messages, Attach Files" in words


def test_every_named_setting_exists() -> None:
    # Every existing one is documented: docs/settings.md is generated from them.
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    of_compose = set(re.findall(r"\$\{(\w+)", compose))
    for page in PAGES:
        named = set(re.findall(r"\b(?:IMAGEN|DISCORD)_[A-Z_]*[A-Z]\b", text(page)))
        assert named <= {*names_of(), *of_compose}, page.name


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    source = (ROOT / "bot" / "metrics" / "metrics.py").read_text(encoding="utf-8")
    short = re.findall(r'_(gauge|histogram|counter)\(\s*"([a-z_]+)"', source)
    full = re.findall(r'(Gauge|Histogram|Counter)\(\s*"imagen_([a-z_]+)"', source)
    made = {
        f"imagen_{name}{'_total' if kind.lower() == 'counter' else ''}"
        for kind, name in (*short, *full)
    }
    assert len(made) >= 12
    documented = {row.strip("`") for row in rows(OPERATING) if row.startswith("`imagen_")}
    assert documented == made


class TestCatalog:
    @staticmethod
    def entries() -> list[tuple[str, dict[str, str]]]:
        found = []
        for table in ("models", "loras", "upscalers", "controlnets"):
            source = (ROOT / "catalog" / f"{table}.toml").read_text(encoding="utf-8")
            found += list(tomllib.loads(source)[table].items())
        return found

    def test_every_entry_has_its_licence_and_no_other_is_shown(self) -> None:
        lines = [line for line in text(LICENCES).splitlines() if line.startswith("| `")]
        expected = []
        for key, entry in self.entries():
            name = f"[{entry['name']}]({entry['url']})" if entry.get("url") else entry["name"]
            expected.append(f"| `{key}` – {name} | {entry['licence']} |")
        assert lines == expected

    def test_the_examples_are_sound_entries(self, tmp_path: Path) -> None:
        other, variant, model, lora, *rest = blocks(CATALOG, "toml")
        embedding, upscaler, controlnet, pose, detector, describer, style, *rest = rest
        encoder, flow, packed, distilled, fast = rest
        # Each as on the page; the shipped LoRA that `fast` names is added.
        (tmp_path / "models.toml").write_text(
            f'default = "my-model"\n{model}\n'
            f"{model.replace('my-model', 'sdxl-base')}\n{flow}\n{packed}\n"
            f"{model.replace('my-model', 'turbo')}{distilled}\n"
            f"{model.replace('my-model', 'quick')}{fast}\n{other.replace('my-model', 'old')}"
            f"\n{variant}\n{encoder}\n{detector}\n{describer}",
            encoding="utf-8",
        )
        lcm = lora.replace("my-lora", "lcm").replace('models = ["sdxl-base"]', "")
        (tmp_path / "loras.toml").write_text(f"{lora}\n{lcm}", encoding="utf-8")
        (tmp_path / "embeddings.toml").write_text(embedding, encoding="utf-8")
        (tmp_path / "upscalers.toml").write_text(upscaler, encoding="utf-8")
        (tmp_path / "controlnets.toml").write_text(f"{pose}\n{controlnet}", encoding="utf-8")
        (tmp_path / "styles.toml").write_text(style, encoding="utf-8")
        catalog = read_catalog(tmp_path, tmp_path / "models", demos="hidden")
        assert catalog.problems == ()
        assert "fine-hands" in catalog.embeddings.entries
        assert "golden-hour" in catalog.styles.entries
        assert "sharp" in catalog.upscalers.entries
        assert catalog.controlnets.type_of("room") == "mlsd"
        assert catalog.detector is not None
        assert catalog.controlnets.pose is not None
        assert catalog.describer is not None
        assert {
            "my-model",
            "bigasp",
            "turbo",
            "quick",
            "old",
            "z_image_bf16",
        } <= catalog.models.keys()
        assert [*catalog.models["my-z-image"].replaced] == ["vae", "text_encoder"]
        assert catalog.models["my-klein"].takes_guidance is False
        assert {"my-lora", "lcm"} <= catalog.adapters.keys()


def test_the_demo_models_have_the_same_figures_in_both_places() -> None:
    here, there = (
        text(page)
        .partition("<!-- demo-model:begin -->\n")[2]
        .partition("<!-- demo-model:end -->")[0]
        for page in (FIGURES, ROOT / "demo" / "README.md")
    )
    assert here.strip() == there.strip()
    assert "| Measured | Goal |" in here
    assert "missed" not in here


class TestWorkflow:
    # YAML 1.1 reads the key `on` as true.
    WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    JOBS = WORKFLOW["jobs"]

    def test_it_runs_what_runs_everywhere(self) -> None:
        [job] = self.JOBS.values()
        [step] = [step for step in job["steps"] if "run" in step]
        assert step["run"] == '.ci/run "$TESTS"'
        assert (ROOT / ".ci" / "run").stat().st_mode & 0o111

    def test_what_takes_long_runs_every_night(self) -> None:
        [job] = self.JOBS.values()
        [step] = [step for step in job["steps"] if "run" in step]
        chosen = "${{ github.event_name == 'schedule' && 'test-all' || 'test' }}"
        assert step["env"] == {"TESTS": chosen}
        assert self.WORKFLOW[True]["schedule"] == [{"cron": "17 3 * * *"}]
        rules = (ROOT / "Makefile").read_text("utf-8")
        assert re.search(r"^test-all: .*\n\t\$\(PYTEST\) --long$", rules, re.MULTILINE)
        assert (ROOT / ".ci" / "run").read_text("utf-8").endswith('check "${1:-test}"\n')

    def test_it_takes_every_python_that_is_promised(self) -> None:
        [job] = self.JOBS.values()
        versions = job["strategy"]["matrix"]["python"]
        assert versions == ["3.11", "3.12", "3.13"]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        assert project["requires-python"] == f">={versions[0]}"


def test_hooks_call_the_pinned_tools() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [source] = config["repos"]
    assert source["repo"] == "local"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    called = {hook["entry"].split()[0] for hook in source["hooks"]}
    assert called == {f".venv/bin/{name}" for name in ("ruff", "mypy", "lint-imports")}
    for path in called:
        assert path.replace(".venv/bin", "$(BIN)") in makefile
