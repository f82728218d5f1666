"""Adapters that are folders, as peft and diffusers save them."""

import json
from pathlib import Path

import pytest

from catalog import LiveCatalog, locate, problems_of
from catalog import live as live_module
from catalog.weight_files import config_file
from tests.catalog.files import lora_bytes
from tests.catalog.home import Home

CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 16}


def put(home: Home, folder: str, config: object = CONFIG) -> Path:
    raw = config if isinstance(config, str) else json.dumps(config)
    home.put(home.models_dir / folder / "adapter_config.json", raw.encode())
    return home.put(home.models_dir / folder / "adapter_model.safetensors", lora_bytes(2048))


def test_a_folder_is_offered_by_its_name(home: Home) -> None:
    put(home, "loras/Ink Wash")
    home.put(home.models_dir / "loras/two/pytorch_lora_weights.safetensors", lora_bytes(2048))
    home.put(home.models_dir / "loras/.hidden/adapter_model.safetensors", lora_bytes(2048))
    home.put(home.models_dir / "loras/not/mine.safetensors", lora_bytes(2048))
    read = home.read()
    assert list(read.adapters) == ["ink-wash", "two"]
    entry = read.adapters["ink-wash"]
    assert (entry.name, entry.path) == ("Ink Wash", "loras/Ink Wash/adapter_model.safetensors")
    assert locate(entry.path, home.models_dir).kind == "file"
    assert problems_of(entry, home.models_dir, {}) == ()
    assert read.facts("ink-wash").algorithm == "LoRA"  # type: ignore[union-attr]
    assert read.problems == ()


@pytest.mark.parametrize(
    "table",
    [
        'path = "loras/ink"',
        'path = "loras/ink/adapter_model.safetensors"',
        'path = "loras/ink"\nweight_name = "adapter_model.safetensors"',
        'path = "{models}/loras/ink"',
    ],
)
def test_a_folder_that_an_entry_names_is_not_offered_twice(home: Home, table: str) -> None:
    put(home, "loras/ink")
    table = table.replace("{models}", str(home.models_dir))
    home.write(loras=f'[loras.mine]\nname = "Mine"\n{table}\n')
    read = home.read()
    assert list(read.adapters) == ["mine"]
    assert problems_of(read.adapters["mine"], home.models_dir, {}) == ()


def test_a_configuration_that_cannot_be_used_is_a_problem(home: Home) -> None:
    put(home, "loras/bad", CONFIG | {"lora_alpha": "x"})
    read = home.read()
    assert read.adapters == {}
    (problem,) = read.problems
    assert problem.key == "bad"
    assert problem.reason == (
        "not offered: adapter_config.json: lora_alpha must be a number, got 'x'"
    )
    home.write(loras='[loras.bad]\nname = "Bad"\npath = "loras/bad"\n')
    entry = home.read().adapters["bad"]
    (why,) = problems_of(entry, home.models_dir, {})
    assert why.endswith("adapter_config.json: lora_alpha must be a number, got 'x'")


def test_another_method_of_peft_is_named(home: Home) -> None:
    put(home, "loras/vera", {"peft_type": "VERA"})
    put(home, "loras/pissa", CONFIG | {"init_lora_weights": "pissa"})
    read = home.read()
    assert str(read.misfit("vera")) == "of type VeRA, which is not supported"
    assert str(read.misfit("pissa")) == "of type PiSSA, which is not supported"


def test_a_changed_configuration_is_read_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    put(home, "loras/ink")
    assert live.refresh()
    assert live.current.misfit("ink") is None
    put(home, "loras/ink", {"peft_type": "VERA"})
    assert live.refresh()
    assert live.current.misfit("ink") is not None
    monkeypatch.setattr(live_module, "read_catalog", None)
    assert not live.refresh()


def test_a_configuration_is_followed_wherever_it_is(home: Home) -> None:
    home.write(loras='[loras.far]\nname = "Far"\npath = "mine/far.safetensors"\n')
    home.put(home.models_dir / "mine/far.safetensors", lora_bytes(2048))
    live = LiveCatalog(home.catalog_dir, home.models_dir)
    config = home.models_dir / "mine/adapter_config.json"
    for method, fits in (("LORA", True), ("VERA", False)):
        home.put(config, json.dumps({"peft_type": method, "target_modules": []}).encode())
        assert live.refresh()
        assert (live.current.misfit("far") is None) is fits
        assert not live.refresh()
    config.unlink()
    assert live.refresh()
    assert live.current.misfit("far") is None


@pytest.mark.parametrize("others", [["b.safetensors"], ["b.SAFETENSORS", "a.png"], ["a.txt"], []])
def test_a_configuration_belongs_to_the_only_weights_of_its_folder(
    tmp_path: Path, others: list[str]
) -> None:
    for name in ("a.safetensors", "adapter_config.json", *others):
        (tmp_path / name).touch()
    alone = not any(name.lower().endswith(".safetensors") for name in others)
    assert (config_file(tmp_path / "a.safetensors") is not None) is alone
