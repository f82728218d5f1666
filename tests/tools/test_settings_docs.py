"""`.env.example` and docs/settings.md match bot/settings.py."""

from pathlib import Path

import pytest

from bot.settings import Settings, names_of
from tools.settings_docs import env_example, settings_page, write_docs

ROOT = Path(__file__).parents[2]


def test_the_example_is_what_the_class_generates() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == env_example(), "run `make docs`"


def test_the_page_is_what_the_class_generates() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == settings_page(), "run `make docs`"


def test_each_variable_is_in_both_once() -> None:
    for name in names_of():
        assert env_example().count(f"{name}=") == 1
        assert settings_page().count(f"| `{name}` |") == 1


def test_the_example_is_a_sound_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names_of():
        monkeypatch.delenv(name, raising=False)
    lines = env_example().splitlines()
    set_to_defaults = [
        line.removeprefix("# ")
        for line in lines
        if line.removeprefix("# ").split("=")[0] in names_of()
    ]
    Path(".env").write_text("\n".join(set_to_defaults))
    assert Settings.load() == Settings(_env_file=None)


def test_both_are_written(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write_docs(tmp_path)
    assert (tmp_path / "docs" / "settings.md").read_text("utf-8") == settings_page()
    assert (tmp_path / ".env.example").read_text("utf-8") == env_example()
