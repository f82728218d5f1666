"""Writes `.env.example` and the README's table of settings from bot/settings.py: `make docs`."""

from pathlib import Path

from bot.settings import Settings, described

README_MARKS = ("<!-- settings:begin -->\n", "<!-- settings:end -->")


def _shown_default(alias: str) -> str:
    field = next(f for f in Settings.model_fields.values() if f.alias == alias)
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, (), {}) else str(default)


def env_example() -> str:
    """The text of `.env.example`: each variable commented, at its default."""
    lines = ["# Copy this file to .env and set what you need. Every line at its default."]
    for name, description in described():
        default = _shown_default(name)
        lines += ["", f"# {description.replace('`', '')}"]
        lines.append(f"{name}=" if name == "DISCORD_TOKEN" else f"# {name}={default}")
    return "\n".join(lines) + "\n"


def readme_table() -> str:
    """The settings as a Markdown table."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, description in described():
        default = _shown_default(name)
        rows.append(f"| `{name}` | {f'`{default}`' if default else '–'} | {description} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    """`readme` with the table between README_MARKS made anew."""
    begin, end = README_MARKS
    head, rest = readme.split(begin, 1)
    tail = rest.split(end, 1)[1]
    return head + begin + readme_table() + end + tail


def write_docs(root: Path) -> None:
    (root / ".env.example").write_text(env_example(), encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_docs(Path(__file__).resolve().parents[1])
