"""Settings and folders of models for commands."""

import json
from pathlib import Path

import pytest

from bot.settings import Settings

CATALOG = """
default = "demo"
[models.demo]
name = "Demo"
path = "builtin:flat"
description = "A small model."
[models.lost]
name = "Lost"
path = "lost.safetensors"
enabled = false
[models.broken]
name = "Broken"
"""


def settings_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: str) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "models.toml").write_text(models)
    (tmp_path / "catalog" / "loras.toml").write_text(
        '[loras.ink]\nname = "Ink"\npath = "org/ink"\ndescription = "Washes."\n'
    )
    for name in ("DISCORD_TOKEN", "DISCORD_API_URL", "DISCORD_PROXY", "DISCORD_GUILD_ID"):
        monkeypatch.delenv(name, raising=False)
    return Settings.load()


def old_lora_in(tmp_path: Path) -> None:
    """A LoRA for SD 1.5 in the folder of LoRAs, named `old`."""
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    header = {
        f"{layer}.lora_down.weight": {
            "dtype": "F16",
            "shape": [4, 768],
            "data_offsets": [0, 4 * 768 * 2],
        },
        "__metadata__": {
            "modelspec.title": "Old one",
            "ss_tag_frequency": json.dumps({"1_a": {"tree": 1}}),
        },
    }
    raw = json.dumps(header).encode()
    (tmp_path / "models" / "loras").mkdir(parents=True)
    file = tmp_path / "models" / "loras" / "old.safetensors"
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(4 * 768 * 2))


def cut_lora_in(tmp_path: Path) -> None:
    """A truncated LoRA with a misleading name."""
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    (folder / "models-cut.safetensors").write_bytes(b"\x40" + bytes(7))
