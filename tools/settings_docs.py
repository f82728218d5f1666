"""Writes `.env.example` and `docs/settings.md` from bot/settings/: `make docs`."""

from pathlib import Path

from bot.settings import Settings, described

PAGE_HEAD = """\
# Settings

Settings are read from the environment, or from `.env` in the folder the bot is started in; the
environment wins. `.env.example` lists all of them with their defaults. A misspelled name or a wrong
value is reported at start, and by `python main.py check`. Variables of other programs may be there
as well.

This page is written by `make docs` from `bot/settings/`.

"""


def _shown_default(alias: str) -> str:
    field = next(f for f in Settings.model_fields.values() if f.alias == alias)
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, (), {}) else str(default)


def env_example() -> str:
    """The text of `.env.example`: each variable commented, at its default."""
    lines = ["# Copy this file to .env and set what you need. Every line shows the default."]
    for name, description in described():
        default = _shown_default(name)
        lines += ["", f"# {description.replace('`', '')}"]
        lines.append(f"{name}=" if name == "DISCORD_TOKEN" else f"# {name}={default}")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The text of `docs/settings.md`: every variable in a Markdown table."""
    rows = ["| variable | default | what it does |", "|---|---|---|"]
    for name, description in described():
        default = _shown_default(name)
        rows.append(f"| `{name}` | {f'`{default}`' if default else '–'} | {description} |")
    return PAGE_HEAD + "\n".join(rows) + "\n"


def write_docs(root: Path) -> None:
    """Write both files below `root`, the folder of the repository."""
    (root / ".env.example").write_text(env_example(), encoding="utf-8")
    (root / "docs" / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    write_docs(Path(__file__).resolve().parents[1])
