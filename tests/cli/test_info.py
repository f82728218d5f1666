"""`main.py info`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from bot.cli import info as info_module
from bot.cli.arguments import parser
from bot.cli.info import info
from bot.settings import Settings
from tests.files.image_info import samples, writers
from tests.request.composing import CATALOG


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(info_module, "read", lambda _: CATALOG)
    return Settings(_env_file=None)


def test_its_arguments() -> None:
    options = parser().parse_args(["info", "fox.png", "--json"])
    assert (options.file, options.json) == (Path("fox.png"), True)


def test_as_text(tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fox.jpg"
    file.write_bytes(writers.with_comment(samples.A1111, "JPEG"))
    assert info(file, settings, as_json=False) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("program: AUTOMATIC1111\nseed: 1234567890\nsize: 832x1216\n")
    assert f"prompt:\n{samples.PROMPT}\n" in printed
    assert "LoRA: ink:0.8 (0123456789ab)" in printed
    assert "sd_xl_base_1.0: not in the catalog\nink:0.8: ink in the catalog\n" in printed


def test_a_terminal_is_not_told_what_to_do(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evil.png"
    evil = "fox \x1b]0;owned\x07\nSteps: 2, Sampler: \x1b[2J, Seed: 1"
    file.write_bytes(writers.png({"parameters": evil}))
    assert info(file, settings, as_json=False) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_as_json(tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fox.png"
    file.write_bytes(writers.png({"prompt": json.dumps(samples.COMFYUI_PROMPT)}))
    assert info(file, settings, as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["program"] == "ComfyUI"
    assert printed["size"] == [832, 1216]
    assert printed["catalog"] == {"sd_xl_base_1.0": None, "ink:0.8:0.5": "ink"}


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "cannot read"), (b"GIF89a", "PNG"), (writers.png({}), "doesn't say how")],
)
def test_what_cannot_be_told(
    data: bytes | None,
    said: str,
    tmp_path: Path,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "fox.png"
    if data is not None:
        file.write_bytes(data)
    assert info(file, settings, as_json=True) == 2
    read = capsys.readouterr()
    assert said in read.err
    assert not read.out
