"""Models whose numbers are packed in a way that is not read are still told as what they are."""

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TypeAlias

import pytest

from catalog.families.recognition import Shapes
from catalog.weight_files import Header, checkpoint_facts
from catalog.weight_files.quantisation import MARK_MAX, unpacked_shapes
from tests.catalog.weight_files.headers import NAMES, shapes_of
from tests.catalog.weight_files.test_published import OWN
from tests.parameters import mostly_long

Tensors: TypeAlias = dict[str, tuple[str, tuple[int, ...], bytes]]
"""Name → dtype, shape, and bytes where they are looked at."""


def written(folder: Path, tensors: Tensors) -> tuple[Path, Header]:
    """A file of nothing but those bytes, and its header."""
    starts, data = {}, b""
    for name, (_, _, raw) in tensors.items():
        starts[name] = len(data)
        data += raw
    file = folder / "packed.safetensors"
    file.write_bytes(data)
    return file, Header(
        {name: shape for name, (_, shape, _) in tensors.items()},
        {name: dtype for name, (dtype, _, _) in tensors.items()},
        starts,
        {name: len(raw) for name, (_, _, raw) in tensors.items()},
        0,
        {},
    )


def _is_matrix(name: str, shape: tuple[int, ...]) -> bool:
    return name.endswith(".weight") and len(shape) == 2 and shape[1] % 16 == 0


def nf4(shapes: Shapes) -> Tensors:
    """As bitsandbytes 0.45 saves linear layers."""
    packed: Tensors = {}
    for name, shape in shapes.items():
        packed[name] = ("BF16", shape, b"")
        if _is_matrix(name, shape):
            state = json.dumps({"quant_type": "nf4", "blocksize": 64, "shape": shape}).encode()
            packed[name] = ("U8", (prod(shape) // 2, 1), b"")
            packed[f"{name}.absmax"] = ("U8", (prod(shape) // 64,), b"")
            packed[f"{name}.quant_state.bitsandbytes__nf4"] = ("U8", (len(state),), state)
    return packed


def nvfp4(shapes: Shapes) -> Tensors:
    """As ComfyUI and ModelOpt save them."""
    packed: Tensors = {}
    for name, shape in shapes.items():
        packed[name] = ("BF16", shape, b"")
        if _is_matrix(name, shape):
            packed[name] = ("U8", (shape[0], shape[1] // 2), b"")
            packed[f"{name}_scale"] = ("F8_E4M3", (shape[0], shape[1] // 16), b"")
            packed[f"{name}_scale_2"] = ("F32", (), b"")
    return packed


@pytest.mark.parametrize("pack", mostly_long([nf4, nvfp4], usual=[nvfp4]))
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("vae", "enc"))])
def test_a_published_model_is_named(
    tmp_path: Path, name: str, pack: Callable[[Shapes], Tensors]
) -> None:
    plain = Header(shapes_of(name), {}, {}, {}, 0, {})
    expected = checkpoint_facts(tmp_path / "plain.safetensors", plain)
    facts = checkpoint_facts(*written(tmp_path, pack(shapes_of(name))))
    assert (facts.what, facts.model) == (expected.what, expected.model)
    assert facts.refusal
    assert bool(facts.refusal.unread) == (name in OWN or bool(expected.model))


def test_what_is_of_no_known_kind_may_be_one_that_is_packed(tmp_path: Path) -> None:
    """Others have tensors of other names, and do not say of which shape they were."""
    gptq: Tensors = {"blocks.0.to_q.qweight": ("I32", (8, 8), b"")}
    facts = checkpoint_facts(*written(tmp_path, gptq))
    assert facts.refusal
    assert facts.refusal.what == (
        "file of a kind that is not known here (its weights cannot be read: they are quantised with"
        " GPTQ or AWQ (blocks.0.to_q.qweight))"
    )
    assert facts.refusal.advice.startswith("use a version of it in fp16")
    assert facts.model == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"shape": null}',
        b'{"shape": [4, "6"]}',
        b'{"shape": [4, -6]}',
        b'{"shape": [4, true]}',
        json.dumps({"shape": [1] * 9}).encode(),
        json.dumps({"shape": [4, 6], "more": "x" * MARK_MAX}).encode(),
    ],
)
def test_a_shape_that_makes_no_sense_does_not_count(tmp_path: Path, raw: bytes) -> None:
    state = {"a.weight.quant_state.bitsandbytes__nf4": ("U8", (len(raw),), raw)}
    file, header = written(tmp_path, {"a.weight": ("U8", (12, 1), b""), **state})
    assert unpacked_shapes(header, file)["a.weight"] == (12, 1)
    sound = {"a.weight.quant_state.bitsandbytes__fp4": ("U8", (16,), b'{"shape": [4, 6]}')}
    file, header = written(tmp_path, {"a.weight": ("U8", (12, 1), b""), **sound})
    assert unpacked_shapes(header, file)["a.weight"] == (4, 6)
