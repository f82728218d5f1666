"""Folders of peft as adapters: from the models folder and from the hub."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.progress import Notice
from catalog import AdapterEntry
from tests.engine.factories import (
    QUERY,
    SHAPES,
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    pair,
    request,
    save,
)
from tests.engine.hub_server import HubServer, contents, hub_server

ALPHA_16 = {"peft_type": "LORA", "r": 4, "lora_alpha": 16}


def folder(path: Path, config: dict[str, Any] | None, prefix: str = "base_model.model.") -> Path:
    """A LoRA of rank 4 as peft saves it."""
    path.mkdir()
    down, up = pair(SHAPES[QUERY], rank=4)
    name = f"{prefix}{QUERY}"
    tensors = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    save(path / "adapter_model.safetensors", tensors)
    if config is not None:
        (path / "adapter_config.json").write_text(json.dumps(config))
    return path


def test_the_scale_of_a_folder_counts(engine: Engine, tmp_path: Path) -> None:
    plain = folder(tmp_path / "plain", None)
    scaled = folder(tmp_path / "scaled", ALPHA_16)
    offered = catalog(plain=plain, scaled=scaled, file=scaled / "adapter_model.safetensors")
    unscaled = paint(engine, request(("plain", 1.0)), offered)
    assert unscaled.warnings == (Notice("adapter.no_scale", {"adapter": "plain"}),)
    expected = digests(unscaled)
    for key in ("scaled", "file"):
        painting = paint(engine, request((key, 0.25)), offered)
        assert digests(painting) == expected
        assert painting.warnings == ()
        (weights,) = painting.recipe.adapters
        lines = [
            f"{hashlib.sha256((scaled / name).read_bytes()).hexdigest()}  {name}\n"
            for name in ("adapter_config.json", "adapter_model.safetensors")
        ]
        assert weights.sha256 == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@pytest.fixture
def hub(models_dir: Path) -> Iterator[HubServer]:
    with hub_server() as server:
        server.repositories["org/model"] = contents(models_dir / TINY)
        yield server


@pytest.mark.long
def test_the_configuration_is_downloaded_with_it(
    hub: HubServer, engine: Engine, tmp_path: Path
) -> None:
    made = folder(tmp_path / "made", ALPHA_16)
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    hub.repositories["org/peft"] = {**files, "README.md": b"never downloaded"}
    inner = {f"inner/{name}": data for name, data in files.items()}
    other = kohya_lora(tmp_path / "o.safetensors").read_bytes()
    hub.repositories["org/inner"] = {**inner, "other.safetensors": other}
    hub.repositories["org/two"] = {
        "o.safetensors": other,
        "adapter_model.safetensors": files["adapter_model.safetensors"],
        "adapter_config.json": b"{",
    }
    own = Engine(
        models_dir=tmp_path / "models", hashes_file=tmp_path / "h.json", hub_endpoint=hub.url
    )
    entries: dict[str, Any] = {
        "peft": AdapterEntry(key="peft", name="x", path="org/peft"),
        "inner": AdapterEntry(
            key="inner",
            name="x",
            path="org/inner",
            weight_name="inner/adapter_model.safetensors",
        ),
        "two": AdapterEntry(key="two", name="x", path="org/two", weight_name="o.safetensors"),
    }
    offered = catalog([model("remote", "org/model")], **entries)
    expected = digests(paint(engine, request(("a", 1.0)), catalog(a=made)))
    for key in ("peft", "inner"):
        painting = paint(own, request((key, 1.0), model="remote"), offered)
        assert digests(painting) == expected
    plain = digests(paint(engine, request(("a", 1.0)), catalog(a=tmp_path / "o.safetensors")))
    assert digests(paint(own, request(("two", 1.0), model="remote"), offered)) == plain
    own.close()
