"""Checkpoints, and what they say of their training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.weight_files import Header, evidence, read_header
from catalog.weight_files.prediction import Training, UnknownTraining

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]
PLAIN: Tensors = {"model.diffusion_model.out.2.bias": ("F32", (1,), bytes(4))}


def refusal(path: Path, header: Header) -> str | None:
    return reason(lambda: evidence.of_file(path, header))


def reason(read: Callable[[], Training]) -> str | None:
    try:
        read()
    except UnknownTraining as error:
        return evidence.unclear(error)
    return None


def checkpoint(
    path: Path, tensors: Tensors | None = None, metadata: dict[str, str] | None = None
) -> Path:
    """A file with these tensors (dtype, shape, bytes) and metadata."""
    table: dict[str, Any] = {}
    data = b""
    for name, (dtype, shape, raw) in {**PLAIN, **(tensors or {})}.items():
        table[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    table["__metadata__"] = metadata or {}
    header = json.dumps(table).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


EMPTY = ("F32", (0,), b"")


def training(path: Path, config: Path | None = None) -> Training:
    if config is None:
        return evidence.of_file(path, read_header(path))
    return evidence.collected([(path, read_header(path))], config, single=True).training()
