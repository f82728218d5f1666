"""A catalog folder and a models folder for one test."""

import json
import math
import os
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from catalog import Catalog, read_catalog
from catalog.families import FAMILIES

ONE_MODEL = 'default = "base"\n[models.base]\nname = "Base"\npath = "org/base"\n'


def weights_bytes(metadata: dict[str, Any] | None = None, data: bytes = b"\0\0\0\0") -> bytes:
    """A complete .safetensors file with one tensor."""
    header: dict[str, Any] = {
        "t": {"dtype": "F32", "shape": [1], "data_offsets": [0, len(data)]},
    }
    if metadata is not None:
        header["__metadata__"] = metadata
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


SDXL = {
    "model.diffusion_model.input_blocks.0.0.weight": [1, 4, 3, 3],
    "model.diffusion_model.label_emb.0.0.weight": [1, 2816],
    "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight": [1, 2048],
    "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias": [1],
    "conditioner.embedders.1.model.ln_final.bias": [1],
    "first_stage_model.decoder.conv_in.weight": [1, 4, 3, 3],
}
"""A few tensors of SDXL in Stability's layout, by which it is known."""


def checkpoint_bytes(
    shapes: Mapping[str, Sequence[int]] = MappingProxyType(SDXL),
    metadata: dict[str, Any] | None = None,
) -> bytes:
    """A complete .safetensors file with tensors of these shapes, in 16 bits; SDXL if not given."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(end)


@dataclass
class Home:
    root: Path
    _clock: "count[int]" = field(default_factory=lambda: count(1_700_000_000))

    def __post_init__(self) -> None:
        self.catalog_dir = self.root / "catalog"
        self.models_dir = self.root / "models"
        for folder in (
            self.catalog_dir,
            self.models_dir / "checkpoints",
            self.models_dir / "loras",
        ):
            folder.mkdir(parents=True)
        self.write()

    def write(self, models: str | bytes = ONE_MODEL, loras: str | bytes = "") -> None:
        for name, content in (("models.toml", models), ("loras.toml", loras)):
            file = self.catalog_dir / name
            raw = content if isinstance(content, bytes) else content.encode()
            if not file.exists() or file.read_bytes() != raw:
                self.put(file, raw)

    def put(self, file: Path, raw: bytes) -> Path:
        """Write a file with an mtime that no other file has."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
        now = next(self._clock)
        os.utime(file, (now, now))
        return file

    def weights(self, path: str, metadata: dict[str, Any] | None = None) -> Path:
        """A valid .safetensors file at `path`, relative to the models folder; SDXL's in
        `checkpoints`."""
        checkpoint = path.startswith("checkpoints/")
        raw = checkpoint_bytes(metadata=metadata) if checkpoint else weights_bytes(metadata)
        return self.put(self.models_dir / path, raw)

    def pipeline(self, path: str, family: str, networks: Collection[str] | None = None) -> Path:
        """A folder, relative to the models folder, with every file of a model of that family in
        diffusers' layout that is not there yet: configurations that say nothing, and weights of
        these networks, or of all."""
        files, folder = FAMILIES[family].files, self.models_dir / path
        names = {files.index, "scheduler/scheduler_config.json"}
        names |= {f"{part}/config.json" for part in files.weights}
        names |= {f"{part}/tokenizer_config.json" for part in files.folders if "tokenizer" in part}
        for network, base in files.weights.items():
            if networks is None or network in networks:
                names.add(f"{network}/{base}.safetensors")
        for name in sorted(names):
            if not (folder / name).exists():
                self.put(folder / name, b"{}" if name.endswith(".json") else weights_bytes())
        return folder

    def read(self) -> Catalog:
        return read_catalog(self.catalog_dir, self.models_dir)

    def problems(self) -> list[str]:
        return [str(problem) for problem in self.read().problems]
