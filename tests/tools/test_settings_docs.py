"""`.env.example` and the README's table are what bot/settings.py says."""

from pathlib import Path

import pytest

from bot.settings import Settings, names_of
from tools.settings_docs import README_MARKS, env_example, readme_table, with_table, write_docs

ROOT = Path(__file__).parents[2]


def test_the_example_is_what_the_class_generates() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == env_example(), "run `make docs`"


def test_the_readme_is_what_the_class_generates() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert with_table(readme) == readme, "run `make docs`"
    assert readme_table() in readme


def test_each_variable_is_in_both_once() -> None:
    for name in names_of():
        assert env_example().count(f"{name}=") == 1
        assert readme_table().count(f"| `{name}` |") == 1


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


def test_writing_them_keeps_the_rest_of_the_readme(tmp_path: Path) -> None:
    begin, end = README_MARKS
    (tmp_path / "README.md").write_text(f"# Ä\n{begin}old\n{end}\nrest\n", encoding="utf-8")
    write_docs(tmp_path)
    expected = f"# Ä\n{begin}{readme_table()}{end}\nrest\n"
    assert (tmp_path / "README.md").read_text("utf-8") == expected
    assert (tmp_path / ".env.example").read_text("utf-8") == env_example()
