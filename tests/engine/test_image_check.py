"""The image check: as in diffusers, from a file of either generation of transformers."""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from bot.engine.image_check import ImageCheck
from bot.errors import JobFailed
from catalog import ImageCheckEntry
from tests.engine.factories import save
from tests.engine.safety import FOLDER, build, judged_by_diffusers, module, pictures

BAD, GOOD = pictures()


def entry(folder: Path) -> ImageCheckEntry:
    return ImageCheckEntry(path=str(folder), folder=FOLDER)


@pytest.mark.parametrize("generation", [4, 5])
def test_it_flags_what_diffusers_flags(tmp_path: Path, generation: int) -> None:
    build(tmp_path, bad=BAD, good=GOOD, generation=generation)
    images = [BAD, GOOD, BAD.rotate(90), PIL.Image.new("RGB", (300, 64), "green")]
    before = [image.tobytes() for image in images]
    check = ImageCheck(tmp_path)
    flags = check.flags(entry(tmp_path), images)
    assert flags[:2] == (True, False)
    assert flags == judged_by_diffusers(tmp_path, bad=BAD, good=GOOD, images=images)
    assert [image.tobytes() for image in images] == before
    assert check.flags(entry(tmp_path), [GOOD]) == (False,)


def test_it_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    build(tmp_path, bad=BAD, good=GOOD)
    check = ImageCheck(tmp_path)
    assert check.flags(entry(tmp_path), [BAD, GOOD]) == (True, False)
    build(tmp_path, bad=GOOD, good=BAD)
    assert check.flags(entry(tmp_path), [BAD, GOOD]) == (False, True)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("missing folder", "missing"),
        ("no configuration", "incomplete"),
        ("no weights", "incomplete"),
        ("a tensor less", "incomplete"),
        ("not safetensors", "not_safetensors"),
        ("foreign code", "configuration"),
        ("not a checker", "configuration"),
    ],
)
def test_what_cannot_be_used_is_an_error(tmp_path: Path, damage: str, why: str) -> None:
    build(tmp_path, bad=BAD, good=GOOD)
    folder = tmp_path / FOLDER
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    match damage:
        case "missing folder":
            tmp_path /= "elsewhere"
        case "no configuration":
            (folder / "config.json").unlink()
        case "no weights":
            (folder / "model.safetensors").unlink()
        case "a tensor less":
            tensors = module(bad=BAD, good=GOOD).state_dict()
            del tensors["concept_embeds"]
            save(folder / "model.safetensors", tensors)
        case "not safetensors":
            (folder / "model.safetensors").write_bytes(b"PK\x03\x04" * 100)
        case "foreign code":
            config["vision_config"]["auto_map"] = {"AutoModel": "evil.py"}
            (folder / "config.json").write_text(json.dumps(config))
        case "not a checker":
            (folder / "config.json").write_text("[1]")
    with pytest.raises(JobFailed) as failed:
        ImageCheck(tmp_path).flags(entry(tmp_path), [GOOD])
    assert failed.value.code == "check.unusable"
    assert failed.value.params["why"] == why
